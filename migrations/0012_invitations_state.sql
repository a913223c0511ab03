CREATE INDEX invitations_state ON invitations (organization, state, invitation);
