CREATE INDEX emails_ended ON emails (update_time) WHERE state IN ('SENT','FAILED','DROPPED');
