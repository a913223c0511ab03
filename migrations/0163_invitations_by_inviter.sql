-- for searches by who invited; written at create, and with each change of the row as all its indexes are
CREATE INDEX invitations_by_inviter ON invitations (organization, inviter, invitation) WHERE inviter IS NOT NULL;
