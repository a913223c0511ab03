-- in place of the deployment's limits; 0: not one.  And what was counted of invitations per day
ALTER TABLE organization_heads
  ADD COLUMN invitations_limit       integer,
  ADD COLUMN open_invitations_limit  integer,
  ADD COLUMN invitations_time        timestamptz NOT NULL DEFAULT now(),   -- the present window's begin
  ADD COLUMN invitations_used        integer NOT NULL DEFAULT 0,           -- in it
  ADD COLUMN invitations_used_before integer NOT NULL DEFAULT 0,           -- in the one before
  ADD CONSTRAINT organization_heads_limits CHECK (invitations_limit >= 0 AND open_invitations_limit >= 0),
  ADD CONSTRAINT organization_heads_invitations CHECK (invitations_used >= 0 AND invitations_used_before >= 0);
