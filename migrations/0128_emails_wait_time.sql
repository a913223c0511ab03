ALTER TABLE emails ADD COLUMN wait_time timestamptz;  -- until when it waits for its recipient's limit, while that has prolonged nothing
