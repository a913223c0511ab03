CREATE INDEX members_username ON members (username, organization);          -- ListAccountMemberships, DeleteAccount
