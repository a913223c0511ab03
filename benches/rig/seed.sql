-- What the calls find: organizations, accounts, and invitations in the state that a call leaves. The same for the
-- service and for pgbench, whose scripts call the functions of names and ids as well.

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

-- What the heads count.
CREATE FUNCTION count_again() RETURNS void LANGUAGE sql AS $$
  UPDATE organization_heads h SET (seats_taken, open_invitations) =
    (SELECT (SELECT count(*) FROM members m WHERE m.organization = h.organization)
            + count(*) FILTER (WHERE i.state = 'OFFERED'), count(*)
       FROM invitations i
      WHERE i.organization = h.organization AND i.state IN ('INVITED', 'ACCESS_REQUESTED', 'OFFERED'));
$$;

-- Organizations 0 to `organizations` - 1 with an owner each, and accounts likewise. Organization 0 is the hot one: it has
-- `inviters` managers, because a caller has a limit, and limits of its own, which are higher than the deployment's.
CREATE FUNCTION seed(organizations bigint, inviters bigint, accounts bigint) RETURNS void LANGUAGE sql AS $$
  SELECT seed_accounts(array(SELECT owner_of(n) FROM generate_series(0, organizations - 1) AS n));
  SELECT seed_accounts(array(SELECT 'inviter-' || n FROM generate_series(0, inviters - 1) AS n));
  SELECT seed_accounts(array(SELECT account_of(n) FROM generate_series(0, accounts - 1) AS n));
  INSERT INTO organizations (organization, display_name, notification_email, notification_email_key)
    SELECT organization_of(n), 'Organization ' || n, 'notify@example.com', 'notify@example.com'
      FROM generate_series(0, organizations - 1) AS n;
  INSERT INTO organization_heads (organization, owners, invitations_limit, open_invitations_limit)
    SELECT organization_of(n), 1, limits, limits
      FROM generate_series(0, organizations - 1) AS n, LATERAL (SELECT CASE WHEN n = 0 THEN 1000000 END) AS l(limits);
  INSERT INTO members (organization, username, role, email, email_key)
    SELECT o, u, r::role, u || '@example.com', u || '@example.com' FROM (
      SELECT organization_of(n), owner_of(n), 'OWNER' FROM generate_series(0, organizations - 1) AS n
      UNION ALL SELECT organization_of(0), 'inviter-' || n, 'MANAGER' FROM generate_series(0, inviters - 1) AS n
    ) AS m(o, u, r);
  SELECT count_again();
$$;

-- Takes away what an earlier measurement has left of accounts, so that they can be invited anew.
CREATE FUNCTION forget_invitations() RETURNS void LANGUAGE sql AS $$
  DELETE FROM members WHERE username LIKE 'account-%';
  DELETE FROM emails WHERE recipient LIKE 'account-%' AND due_time > now();
  DELETE FROM invitations WHERE email_key LIKE 'account-%';
$$;

-- Invitation n, from 0, is to `who`-n, of one of `organizations` organizations after `first`, with the n-th code.
CREATE FUNCTION seed_invitations(run bigint, who text, state text, first bigint, organizations bigint, codes bytea[])
    RETURNS void LANGUAGE sql AS $$
  INSERT INTO invitations (organization, invitation, state, email, email_key, username, account_email, account_email_key,
                           role, inviter, offerer, code_hash, code_key_id, generation, expire_time, send_time,
                           request_time)
    SELECT organization_of(o), invitation_of(run, n, 0), state::invitation_state, e, e, u, ue, ue,
           CASE WHEN state = 'OFFERED' THEN 'READER' END::role, 'accounts/' || owner_of(o),
           CASE WHEN state = 'OFFERED' THEN 'accounts/' || owner_of(o) END, c, 'bench', 1,
           CASE WHEN state <> 'ACCESS_REQUESTED' THEN now() + interval '7 days' END, now(),
           CASE WHEN state <> 'INVITED' THEN now() END
      FROM unnest(codes) WITH ORDINALITY AS codes(c, ordinality), LATERAL (SELECT ordinality - 1) AS l(n),
           LATERAL (SELECT first + n % organizations, who || '-' || n || '@example.com',
                           CASE WHEN state <> 'INVITED' THEN who || '-' || n END,
                           CASE WHEN state <> 'INVITED' THEN who || '-' || n || '@example.com' END) AS r(o, e, u, ue);
  INSERT INTO emails (organization, email_id, invitation, kind, generation, recipient, state, due_time)
    SELECT organization_of(first + n % organizations), gen_random_uuid(), invitation_of(run, n, 0), k.kind, k.generation,
           CASE WHEN k.kind LIKE 'ACCESS_%' THEN 'notify@example.com' ELSE who || '-' || n || '@example.com' END,
           k.email_state::email_state, now() + k.due
      FROM generate_series(0, cardinality(codes) - 1) AS n
      JOIN (VALUES ('INVITED', 'ACCOUNT_INVITATION', 1, 'SENT', interval '0'),
                   ('INVITED', 'INVITATION_REMINDER', 1, 'QUEUED', interval '6 days'),
                   ('ACCESS_REQUESTED', 'ACCESS_REQUESTED', 0, 'SENT', interval '0'),
                   ('ACCESS_REQUESTED', 'ACCESS_REQUEST_REMINDER', 0, 'QUEUED', interval '3 days'),
                   ('OFFERED', 'ORGANIZATION_INVITATION', 0, 'SENT', interval '0'),
                   ('OFFERED', 'OFFER_REMINDER', 0, 'QUEUED', interval '6 days')
           ) AS k(of_state, kind, generation, email_state, due) ON k.of_state = state;
  SELECT count_again();
$$;
