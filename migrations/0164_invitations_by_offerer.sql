-- the same by who offered: only invitations with an offer are in it
CREATE INDEX invitations_by_offerer ON invitations (organization, offerer, invitation) WHERE offerer IS NOT NULL;
