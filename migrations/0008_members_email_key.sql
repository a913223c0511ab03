-- Partial by its own column, as other indexes here: Postgres then considers it only where a statement asks for that column.
-- A row is found by its primary key whatever the statistics say: on empty tables all indexes cost the same, and of those
-- the newest is taken.
CREATE INDEX members_email_key ON members (organization, email_key) WHERE email_key IS NOT NULL;
