CREATE TABLE mail_turns (                            -- whose emails come next: organizations take turns
  organization text COLLATE "C" NOT NULL,
  turn_time    timestamptz,                          -- its place in the queue, from when on it has one; NULL: nothing waits
  revision     bigint NOT NULL DEFAULT 0,            -- raised by whoever writes emails
  CONSTRAINT mail_turns_pkey PRIMARY KEY (organization)
) WITH (fillfactor = 50);
