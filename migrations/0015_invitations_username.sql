CREATE INDEX invitations_username ON invitations (username, invitation, organization) WHERE username IS NOT NULL;
