-- of the requests that were made before there was the column
UPDATE invitations i SET request_time = e.create_time FROM events e
 WHERE e.organization = i.organization AND e.invitation = i.invitation AND e.kind = 'ACCESS_REQUESTED';
