-- The row that each change of an organization locks first.  All counted things are here: the lock reads them, one
-- UPDATE at the end of the transaction writes them (HOT: no index but the key), readers of organizations see no churn.
CREATE TABLE organization_heads (
  organization     text COLLATE "C" NOT NULL,
  event_position   bigint NOT NULL DEFAULT 0,        -- of the last event
  seat_limit       integer,                          -- may be set below seats_taken; only new seats are refused then
  seats_taken      integer NOT NULL DEFAULT 0,
  owners           integer NOT NULL,
  open_invitations integer NOT NULL DEFAULT 0,       -- for the quota; overdue ones count until they are closed
  CONSTRAINT organization_heads_pkey PRIMARY KEY (organization),
  CONSTRAINT organization_heads_seat_limit CHECK (seat_limit >= 0),
  CONSTRAINT organization_heads_seats CHECK (seats_taken >= 0),
  CONSTRAINT organization_heads_owners CHECK (owners >= 1),
  CONSTRAINT organization_heads_open CHECK (open_invitations >= 0)
) WITH (fillfactor = 50);
