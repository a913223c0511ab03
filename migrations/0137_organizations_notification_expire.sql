ALTER TABLE organizations ADD COLUMN notification_expire_time timestamptz;
