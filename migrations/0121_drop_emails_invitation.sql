DROP INDEX emails_invitation;
