ALTER TABLE events ADD COLUMN request_id uuid; -- of the request that made it; NULL: it named none
