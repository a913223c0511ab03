DROP INDEX emails_due;
