DROP INDEX members_email_key;
