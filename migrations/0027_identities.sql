CREATE TABLE identities (
  identity bytea NOT NULL,                           -- SHA-256 over the length-prefixed parts
  issuer   text COLLATE "C" NOT NULL,                -- id of the configuration entry
  subject  text[] COLLATE "C" NOT NULL,              -- Entra: tid, oid; GitHub: the numeric id
  username text COLLATE "C" NOT NULL,
  attest_time timestamptz,                           -- iat of the token whose addresses are in account_emails
  CONSTRAINT identities_pkey PRIMARY KEY (identity),
  CONSTRAINT identities_hash CHECK (octet_length(identity) = 32)
);
