CREATE INDEX account_request_ids_create_time ON account_request_ids (create_time);
