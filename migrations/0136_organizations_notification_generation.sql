ALTER TABLE organizations ADD COLUMN notification_generation integer;
