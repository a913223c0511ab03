CREATE TABLE account_request_ids (                   -- a service has a hash over (issuer id, subject) as well
  identity    bytea NOT NULL,
  request_id  uuid NOT NULL,
  method      text NOT NULL,
  digest      bytea NOT NULL,
  resource    text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT account_request_ids_pkey PRIMARY KEY (identity, request_id)
);
