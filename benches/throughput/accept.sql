-- AcceptInvitation as one transaction per call: what has to be read, and the rows that the service writes.
\set nth :nth + 1
\set n :client_id * :share + :nth
\set o :first + :n % (:last - :first + 1)
BEGIN;
SELECT username, attest_time FROM identities WHERE identity = identity_of(account_of(:n));
SELECT event_position + 1 AS position, seat_limit, seats_taken, owners, open_invitations FROM organization_heads WHERE organization = organization_of(:o) FOR UPDATE \gset
SELECT display_name, notification_email, locale, policy FROM organizations WHERE organization = organization_of(:o);
SELECT state, email, username, account_email, role, offerer, approver, expire_time, revision FROM invitations WHERE organization = organization_of(:o) AND invitation = invitation_of(:run, :n, 0);
SELECT m.username, m.role FROM members m JOIN accounts a ON a.username = m.username WHERE m.organization = organization_of(:o) AND m.username IN (owner_of(:o), account_of(:n)) AND a.delete_time IS NULL;
SELECT provider FROM accounts WHERE username = account_of(:n) AND delete_time IS NULL FOR SHARE;
SELECT email, email_key FROM account_emails WHERE username = account_of(:n) ORDER BY ordinal;
INSERT INTO members (organization, username, role, email, email_key, inviter) SELECT organization_of(:o), u, 'READER', u || '@example.com', u || '@example.com', 'accounts/' || owner_of(:o) FROM account_of(:n) AS u;
UPDATE invitations SET state = 'ACCEPTED', update_time = now(), revision = revision + 1 WHERE organization = organization_of(:o) AND invitation = invitation_of(:run, :n, 0) AND state = 'OFFERED';
INSERT INTO events (organization, position, kind, actor, invitation, username, changes) VALUES (organization_of(:o), :position, 'ACCEPTED', 'accounts/' || account_of(:n), invitation_of(:run, :n, 0), account_of(:n), '[{"field": "state", "before": "OFFERED", "after": "ACCEPTED"}, {"field": "role", "before": "", "after": "READER"}]');
UPDATE emails SET state = 'DROPPED', answer = 'MOVED_ON', update_time = now() WHERE organization = organization_of(:o) AND invitation = invitation_of(:run, :n, 0) AND state IN ('QUEUED', 'RETRYING') AND kind LIKE '%\_REMINDER';
INSERT INTO emails (organization, email_id, invitation, kind, recipient) SELECT organization_of(:o), gen_random_uuid(), invitation_of(:run, :n, 0), k, r FROM (VALUES ('ACCESS_GRANTED', account_of(:n) || '@example.com'), ('MEMBER_JOINED', 'notify@example.com')) AS v(k, r);
UPDATE organization_heads SET event_position = :position, open_invitations = open_invitations - 1 WHERE organization = organization_of(:o);
COMMIT;
