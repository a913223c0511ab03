-- what is overdue in one organization: for lists, for seats, and for limits that it must no longer count against
CREATE INDEX invitations_overdue ON invitations (organization, expire_time)
  WHERE state IN ('INVITED','PENDING_APPROVAL','OFFERED');
