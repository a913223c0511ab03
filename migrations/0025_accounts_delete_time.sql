CREATE INDEX accounts_delete_time ON accounts (delete_time) WHERE delete_time IS NOT NULL;
