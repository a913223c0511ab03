DROP INDEX events_invitation;
