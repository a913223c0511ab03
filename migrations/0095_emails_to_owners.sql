-- the few that are about no invitation: where a person is erased, they are found by the address
CREATE INDEX emails_to_owners ON emails (lower(recipient COLLATE "C")) WHERE kind = 'ORGANIZATION_CHANGED';
