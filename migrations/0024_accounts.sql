CREATE TABLE accounts (
  username     text COLLATE "C" NOT NULL,
  identity     bytea,                                -- NULL once deleted
  display_name text,
  provider     text NOT NULL,
  tenant       text,                                 -- Entra's, shown to administrators
  create_time  timestamptz NOT NULL DEFAULT now(),
  delete_time  timestamptz,                          -- tombstone: the username is never given again
  CONSTRAINT accounts_pkey PRIMARY KEY (username),
  CONSTRAINT accounts_tombstone CHECK ((identity IS NULL) = (delete_time IS NOT NULL))
);
