-- in place of invitations_time, invitations_used and invitations_used_before, by which the release before counts alone
ALTER TABLE organization_heads
  ADD COLUMN invitations_slot   bigint NOT NULL DEFAULT 0,        -- the newest hour in which something was counted
  ADD COLUMN invitations_totals bigint[] NOT NULL DEFAULT '{0}';  -- ever counted, up to the end of it and of those before
