CREATE UNIQUE INDEX invitations_open_address ON invitations (organization, email_key)
  WHERE state IN ('INVITED','ACCESS_REQUESTED','PENDING_APPROVAL','OFFERED') AND email_key IS NOT NULL;
