CREATE INDEX events_invitation ON events (organization, invitation, position) WHERE invitation IS NOT NULL;
