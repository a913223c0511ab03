ALTER TABLE invitations VALIDATE CONSTRAINT invitations_account;
