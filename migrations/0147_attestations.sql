CREATE TABLE attestations (                          -- of identities whose account was deleted; no address, no name
  identity    bytea NOT NULL,                        -- as in identities
  attest_time timestamptz NOT NULL,                  -- of the newest token that said something about addresses
  CONSTRAINT attestations_pkey PRIMARY KEY (identity)
);
