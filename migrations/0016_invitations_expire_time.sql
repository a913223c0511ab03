-- the organization at its end: the sweep looks over all of them, a list filters its own inside the index
CREATE INDEX invitations_expire_time ON invitations (expire_time, organization)
  WHERE state IN ('INVITED','PENDING_APPROVAL','OFFERED');
