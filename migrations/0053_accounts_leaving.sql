CREATE INDEX accounts_leaving ON accounts (delete_time) WHERE delete_time IS NOT NULL AND left_time IS NULL;
