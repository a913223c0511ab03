CREATE INDEX emails_queued ON emails (due_time) WHERE state IN ('QUEUED','RETRYING') AND due_time IS NOT NULL;
