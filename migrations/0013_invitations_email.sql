CREATE INDEX invitations_email ON invitations (organization, email_key, invitation);
