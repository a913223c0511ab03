ALTER TABLE invitations DROP CONSTRAINT invitations_bound;
