CREATE INDEX emails_due ON emails (due_time) WHERE state IN ('QUEUED','RETRYING');
