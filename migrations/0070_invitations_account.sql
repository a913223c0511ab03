-- the account is bound together with its address, but for a member who used the code: of that account no address is told
ALTER TABLE invitations ADD CONSTRAINT invitations_account CHECK (
  num_nulls(account_email,account_email_key) IN (0,2)
  AND CASE WHEN username IS NULL THEN account_email IS NULL ELSE account_email IS NOT NULL OR state='REVOKED' END) NOT VALID;
