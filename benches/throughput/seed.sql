-- What the calls find: organizations with one owner each, accounts, and offers to accept. The same for the service and
-- for pgbench, whose scripts call the functions of names and ids as well.

CREATE FUNCTION organization_of(n bigint) RETURNS text IMMUTABLE LANGUAGE sql
  AS $$ SELECT 'organization-' || n $$;

CREATE FUNCTION owner_of(n bigint) RETURNS text IMMUTABLE LANGUAGE sql
  AS $$ SELECT 'owner-' || n $$;

CREATE FUNCTION account_of(n bigint) RETURNS text IMMUTABLE LANGUAGE sql
  AS $$ SELECT 'account-' || n $$;

-- as the service finds a token's account: a hash over the length-prefixed parts
CREATE FUNCTION identity_of(username text) RETURNS bytea IMMUTABLE LANGUAGE sql
  AS $$ SELECT sha256(int8send(10) || 'dev-github'::bytea || int8send(length(username)) || username::bytea) $$;

-- ascending in time, as UUIDs of version 7 are
CREATE FUNCTION invitation_of(run bigint, n bigint, client bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
  AS $$ SELECT (lpad(to_hex(run), 4, '0') || lpad(to_hex(n), 8, '0') || '70008000' || lpad(to_hex(client), 12, '0'))::uuid $$;

-- whom pgbench invites
CREATE FUNCTION address_of(run bigint, n bigint, client bigint) RETURNS text IMMUTABLE LANGUAGE sql
  AS $$ SELECT 'p' || run || '-' || client || '-' || n || '@example.com' $$;

CREATE FUNCTION seed_accounts(names text[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO identities (identity, issuer, subject, username, attest_time)
    SELECT identity_of(u), 'dev-github', ARRAY[u], u, now() FROM unnest(names) AS u;
  INSERT INTO accounts (username, identity, provider) SELECT u, identity_of(u), 'github' FROM unnest(names) AS u;
  INSERT INTO account_emails (username, issuer, email, email_key, ordinal, attest_time)
    SELECT u, 'dev-github', u || '@example.com', u || '@example.com', 0, now() FROM unnest(names) AS u;
$$;

-- Organizations 0 to `organizations` - 1, and accounts likewise.
CREATE FUNCTION seed(organizations bigint, accounts bigint) RETURNS void LANGUAGE sql AS $$
  SELECT seed_accounts(array(SELECT owner_of(n) FROM generate_series(0, organizations - 1) AS n));
  SELECT seed_accounts(array(SELECT account_of(n) FROM generate_series(0, accounts - 1) AS n));
  INSERT INTO organizations (organization, display_name, notification_email, notification_email_key)
    SELECT organization_of(n), 'Organization ' || n, 'notify@example.com', 'notify@example.com'
      FROM generate_series(0, organizations - 1) AS n;
  INSERT INTO organization_heads (organization, seats_taken, owners)
    SELECT organization_of(n), 1, 1 FROM generate_series(0, organizations - 1) AS n;
  INSERT INTO members (organization, username, role, email, email_key)
    SELECT organization_of(n), owner_of(n), 'OWNER', owner_of(n) || '@example.com', owner_of(n) || '@example.com'
      FROM generate_series(0, organizations - 1) AS n;
$$;

-- Offer n, from 0 to `offers` - 1, is to account n, of one of `organizations` organizations after `first`. What an
-- earlier run has left of its own goes: accounts can join anew.
CREATE FUNCTION seed_offers(run bigint, first bigint, organizations bigint, offers bigint) RETURNS void LANGUAGE sql AS $$
  DELETE FROM members WHERE role <> 'OWNER';
  DELETE FROM invitations WHERE state IN ('OFFERED', 'ACCEPTED');
  INSERT INTO invitations (organization, invitation, state, email, email_key, username, account_email, account_email_key,
                           role, offerer, expire_time, send_time)
    SELECT organization_of(first + n % organizations), invitation_of(run, n, 0), 'OFFERED', e, e, u, e, e, 'READER',
           'accounts/' || owner_of(first + n % organizations), now() + interval '7 days', now()
      FROM generate_series(0, offers - 1) AS n, account_of(n) AS u, concat(u, '@example.com') AS e;
  INSERT INTO emails (organization, email_id, invitation, kind, recipient, state, due_time)
    SELECT i.organization, gen_random_uuid(), i.invitation, k.kind, i.email, k.state::email_state, now() + k.due
      FROM invitations i, (VALUES ('ORGANIZATION_INVITATION', 'SENT', interval '0'),
                                  ('OFFER_REMINDER', 'QUEUED', interval '6 days')) AS k(kind, state, due)
     WHERE i.state = 'OFFERED';
  UPDATE organization_heads h SET (seats_taken, open_invitations) =
    (SELECT 1 + count(*) FILTER (WHERE i.state = 'OFFERED'), count(*)
       FROM invitations i WHERE i.organization = h.organization AND i.state IN ('INVITED', 'OFFERED'));
$$;
