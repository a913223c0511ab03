CREATE TABLE email_suppressions (                    -- addresses that want no email of people they do not know
  address_hash bytea NOT NULL,                       -- keyed: see domain::AddressKey
  create_time  timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT email_suppressions_pkey PRIMARY KEY (address_hash),
  CONSTRAINT email_suppressions_hash CHECK (octet_length(address_hash) = 32)
);
