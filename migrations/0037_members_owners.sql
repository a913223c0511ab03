CREATE INDEX members_owners ON members (organization, username) WHERE role = 'OWNER';       -- whom a changed policy is told to
