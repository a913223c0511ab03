-- Of the code that is to show whose the notification address is; NULL: that was shown. It counts as shown for what was there
-- before, and for what a version before this one writes.
ALTER TABLE organizations ADD COLUMN notification_key_id text;
