-- CreateInvitation as one transaction per call: what has to be read, and the rows that the service writes.
\set nth :nth + 1
\set n random(:first, :last)
BEGIN;
SELECT username, attest_time FROM identities WHERE identity = identity_of(owner_of(:n));
SELECT event_position + 1 AS position, seat_limit, seats_taken, owners, open_invitations FROM organization_heads WHERE organization = organization_of(:n) FOR UPDATE \gset
SELECT display_name, notification_email, locale, policy FROM organizations WHERE organization = organization_of(:n);
SELECT m.role FROM members m JOIN accounts a ON a.username = m.username WHERE m.organization = organization_of(:n) AND m.username = owner_of(:n) AND a.delete_time IS NULL;
SELECT invitation, state, expire_time FROM invitations WHERE organization = organization_of(:n) AND email_key = address_of(:run, :nth, :client_id) AND state IN ('INVITED', 'ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED');
SELECT username FROM members WHERE organization = organization_of(:n) AND email_key = address_of(:run, :nth, :client_id);
INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, code_hash, code_key_id, generation, expire_time, send_time) SELECT organization_of(:n), invitation_of(:run, :nth, :client_id), 'INVITED', e, e, 'accounts/' || owner_of(:n), sha256(e::bytea), 'bench', 1, now() + interval '7 days', now() FROM address_of(:run, :nth, :client_id) AS e;
INSERT INTO events (organization, position, kind, actor, invitation, changes) VALUES (organization_of(:n), :position, 'INVITED', 'accounts/' || owner_of(:n), invitation_of(:run, :nth, :client_id), '[{"field": "state", "before": "", "after": "INVITED"}]');
INSERT INTO emails (organization, email_id, invitation, kind, generation, recipient, due_time) SELECT organization_of(:n), gen_random_uuid(), invitation_of(:run, :nth, :client_id), k, 1, address_of(:run, :nth, :client_id), now() + d FROM (VALUES ('ACCOUNT_INVITATION', interval '0'), ('INVITATION_REMINDER', interval '6 days')) AS v(k, d);
UPDATE organization_heads SET event_position = :position, open_invitations = open_invitations + 1, invitations_used = invitations_used + 1 WHERE organization = organization_of(:n);
COMMIT;
