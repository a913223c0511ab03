CREATE INDEX members_email_key ON members (organization, email_key);
