CREATE INDEX events_invitation ON events (invitation, position) WHERE invitation IS NOT NULL;
