CREATE TABLE key_checks (                            -- which secrets were used here; they themselves are in no table
  kind        text COLLATE "C" NOT NULL,             -- code or address
  key_id      text COLLATE "C" NOT NULL,             -- of the one address key: empty
  check_value bytea NOT NULL,                        -- a short HMAC of a constant
  create_time timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT key_checks_pkey PRIMARY KEY (kind, key_id),
  CONSTRAINT key_checks_value CHECK (octet_length(check_value) = 8)
);
