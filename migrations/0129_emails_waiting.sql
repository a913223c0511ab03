CREATE INDEX emails_waiting ON emails (wait_time) WHERE wait_time IS NOT NULL;
