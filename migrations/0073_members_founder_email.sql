-- who founded an organization before its membership held an address gets the account's present one; row by row, because
-- members and accounts have different owners
DO $$
DECLARE
  founder record;
  held record;
BEGIN
  FOR founder IN SELECT organization, username FROM members WHERE email IS NULL LOOP
    FOR held IN SELECT email, email_key FROM account_emails WHERE username = founder.username ORDER BY ordinal LIMIT 1 LOOP
      UPDATE members SET email = held.email, email_key = held.email_key
       WHERE organization = founder.organization AND username = founder.username;
    END LOOP;
  END LOOP;
END $$;
