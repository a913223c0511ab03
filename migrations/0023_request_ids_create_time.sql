CREATE INDEX request_ids_create_time ON request_ids (create_time);
