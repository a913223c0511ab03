-- of what goes to the notification address: this one goes to an owner, and not to whatever that address is when it is sent
ALTER TABLE emails ADD COLUMN is_to_owner boolean NOT NULL DEFAULT false;
