-- the inviting platform's own references, to be shown: an object of strings
ALTER TABLE invitations ADD COLUMN annotations jsonb NOT NULL DEFAULT '{}';
