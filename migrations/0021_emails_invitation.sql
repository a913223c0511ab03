CREATE INDEX emails_invitation ON emails (invitation);
