CREATE TABLE erasures (                              -- what a deleted account still has to be erased from
  username    text COLLATE "C" NOT NULL,
  email_key   text COLLATE "C" NOT NULL,             -- one of its addresses; empty: what was bound to the account
  create_time timestamptz NOT NULL DEFAULT now(),    -- of the deletion: later invitations to the address stay
  look_time   timestamptz NOT NULL DEFAULT now(),    -- put off while an invitation is open
  CONSTRAINT erasures_pkey PRIMARY KEY (username, email_key)
);
