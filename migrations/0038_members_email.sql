-- Each index that is not a table's key is partial by a column of its own: Postgres considers it only where a statement
-- asks for that column. Else a plan that is made on empty tables, where all indexes cost the same, may take any of them.
CREATE INDEX members_email ON members (organization, email_key) WHERE email_key IS NOT NULL;
