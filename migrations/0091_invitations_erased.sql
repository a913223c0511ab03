-- what has lost its addresses, and goes entirely later
CREATE INDEX invitations_erased ON invitations (update_time) WHERE email_key = '';
