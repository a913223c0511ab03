DROP INDEX invitations_by_email;
