CREATE INDEX events_by_invitation ON events (invitation, position) WHERE invitation IS NOT NULL;
