CREATE INDEX invitations_by_email ON invitations (organization, email_key, invitation) WHERE email_key IS NOT NULL;
