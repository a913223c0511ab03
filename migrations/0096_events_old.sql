CREATE INDEX events_old ON events (create_time) WHERE create_time IS NOT NULL;
