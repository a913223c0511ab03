-- for the sweep, which looks over all organizations and alone says that nothing expires at -infinity
CREATE INDEX invitations_due ON invitations (expire_time)
  WHERE state IN ('INVITED','PENDING_APPROVAL','OFFERED') AND expire_time > '-infinity';
