-- the newest emails of an invitation, and how many further ones there are, which needs no look at the table
CREATE INDEX emails_by_invitation ON emails (invitation, create_time) INCLUDE (organization) WHERE invitation IS NOT NULL;
