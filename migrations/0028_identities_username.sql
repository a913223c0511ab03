CREATE INDEX identities_username ON identities (username);
