CREATE UNIQUE INDEX invitations_open_account ON invitations (organization, username)
  WHERE state IN ('INVITED','ACCESS_REQUESTED','PENDING_APPROVAL','OFFERED') AND username IS NOT NULL;
