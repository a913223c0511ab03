-- when the account asked for access; NULL: nobody asked, so what is offered is unsolicited
ALTER TABLE invitations ADD COLUMN request_time timestamptz;
