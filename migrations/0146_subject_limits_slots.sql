-- in place of used and used_before, by which the release before counts alone
ALTER TABLE subject_limits
  ADD COLUMN slot   bigint NOT NULL DEFAULT 0,        -- the newest in which something was counted, a 24th of the window
  ADD COLUMN totals bigint[] NOT NULL DEFAULT '{0}';  -- ever counted, up to the end of it and of those before
