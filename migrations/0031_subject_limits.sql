CREATE TABLE subject_limits (                        -- per caller, identity or address (hashed): not an organization's
  subject     text COLLATE "C" NOT NULL,
  bucket_time timestamptz NOT NULL,                  -- the present window's begin
  used        integer NOT NULL,                      -- in it
  used_before integer NOT NULL DEFAULT 0,            -- in the one before, which still counts in part
  CONSTRAINT subject_limits_pkey PRIMARY KEY (subject),
  CONSTRAINT subject_limits_used CHECK (used >= 0 AND used_before >= 0)
) WITH (fillfactor = 70);
