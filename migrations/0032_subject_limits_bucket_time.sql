CREATE INDEX subject_limits_bucket_time ON subject_limits (bucket_time);  -- for the sweep; changes once a window
