CREATE TABLE subject_limits (                        -- per address (hashed), per caller: not an organization's
  subject     text COLLATE "C" NOT NULL,
  bucket_time timestamptz NOT NULL,
  used        integer NOT NULL,
  CONSTRAINT subject_limits_pkey PRIMARY KEY (subject, bucket_time),
  CONSTRAINT subject_limits_used CHECK (used > 0)
) WITH (fillfactor = 70);
