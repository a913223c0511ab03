-- what waits for another owner: its fields and author, when it was proposed, and when it takes effect by itself
ALTER TABLE organizations
  ADD COLUMN pending_change jsonb,
  ADD COLUMN pending_create_time timestamptz,
  ADD COLUMN pending_effective_time timestamptz;
