-- the address first: of one organization, and of all where a person is erased
CREATE INDEX invitations_by_address ON invitations (email_key, organization, invitation) WHERE email_key IS NOT NULL;
