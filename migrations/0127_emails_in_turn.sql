-- by itself no statement takes it: it asks for kind <> ''
CREATE INDEX emails_in_turn ON emails (organization, due_time) WHERE state IN ('QUEUED','RETRYING') AND kind <> '';
