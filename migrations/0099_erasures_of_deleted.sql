-- of the accounts that were deleted before there was the table; their addresses are found in what is bound to them
INSERT INTO erasures (username, email_key, create_time, look_time)
  SELECT username, '', delete_time, delete_time FROM accounts WHERE delete_time IS NOT NULL;
