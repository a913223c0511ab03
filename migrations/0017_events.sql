CREATE TABLE events (
  organization text COLLATE "C" NOT NULL,
  position     bigint NOT NULL,                      -- 1, 2, 3 … in commit order, without gaps
  kind         text NOT NULL,
  actor        text COLLATE "C",                     -- NULL: the service itself (expiry)
  invitation   uuid,
  username     text COLLATE "C",                     -- the member that it is about
  changes      jsonb NOT NULL DEFAULT '[]',
  create_time  timestamptz NOT NULL DEFAULT now(),
  request_id   uuid,                                 -- of the request that made it; NULL: it named none
  CONSTRAINT events_pkey PRIMARY KEY (organization, position),
  CONSTRAINT events_actor CHECK (actor ~ '^(accounts/[^/]+|services/[^/]+/.+)$')
);
