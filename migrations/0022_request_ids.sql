CREATE TABLE request_ids (                           -- committed successes only
  organization text COLLATE "C" NOT NULL,
  caller       text COLLATE "C" NOT NULL,
  request_id   uuid NOT NULL,
  method       text NOT NULL,
  digest       bytea NOT NULL,
  resource     text NOT NULL,
  create_time  timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT request_ids_pkey PRIMARY KEY (organization, caller, request_id)
);
