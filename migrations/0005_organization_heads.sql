-- The row that each change of an organization locks first.  All counted things are here: the lock reads them, one
-- UPDATE at the end of the transaction writes them (HOT: no index but the key), readers of organizations see no churn.
CREATE TABLE organization_heads (
  organization     text COLLATE "C" NOT NULL,
  event_position   bigint NOT NULL DEFAULT 0,        -- of the last event
  seat_limit       integer,                          -- may be set below seats_taken; only new seats are refused then
  seats_taken      integer NOT NULL DEFAULT 0,
  owners           integer NOT NULL,
  open_invitations integer NOT NULL DEFAULT 0,       -- for the quota; overdue ones count until they are closed
  invitations_limit       integer,                   -- in place of the deployment's limits; 0: not one
  open_invitations_limit  integer,
  invitations_time        timestamptz NOT NULL DEFAULT now(),   -- the begin of the present window of a day
  invitations_used        integer NOT NULL DEFAULT 0,           -- in it
  invitations_used_before integer NOT NULL DEFAULT 0,           -- in the one before
  CONSTRAINT organization_heads_pkey PRIMARY KEY (organization),
  CONSTRAINT organization_heads_seat_limit CHECK (seat_limit >= 0),
  CONSTRAINT organization_heads_seats CHECK (seats_taken >= 0),
  CONSTRAINT organization_heads_owners CHECK (owners >= 1),
  CONSTRAINT organization_heads_open CHECK (open_invitations >= 0),
  CONSTRAINT organization_heads_limits CHECK (invitations_limit >= 0 AND open_invitations_limit >= 0),
  CONSTRAINT organization_heads_invitations CHECK (invitations_used >= 0 AND invitations_used_before >= 0)
) WITH (fillfactor = 50);
