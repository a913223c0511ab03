DROP INDEX invitations_state;
