-- for retention: what has ended and still holds addresses, the oldest first; entries come at the end of it
CREATE INDEX invitations_ended ON invitations (update_time)
  WHERE state IN ('ACCEPTED','DECLINED','REJECTED','REVOKED','EXPIRED') AND email_key <> '';
