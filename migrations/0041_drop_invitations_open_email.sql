DROP INDEX invitations_open_email;
