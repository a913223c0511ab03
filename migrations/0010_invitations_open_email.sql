CREATE UNIQUE INDEX invitations_open_email ON invitations (organization, email_key)
  WHERE state IN ('INVITED','ACCESS_REQUESTED','PENDING_APPROVAL','OFFERED');
