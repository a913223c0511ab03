-- The past of a deployment: closed invitations, a few that are open, and their members, events and emails, dealt to all
-- organizations. Numbers begin at 0, and so do ids: they are older than all that a measurement makes.

CREATE FUNCTION past_state(n bigint) RETURNS invitation_state IMMUTABLE LANGUAGE sql AS $$
  SELECT (ARRAY['ACCEPTED', 'EXPIRED', CASE WHEN n % 20 = 2 THEN 'INVITED' ELSE 'EXPIRED' END, 'ACCEPTED', 'REVOKED',
                'ACCEPTED', 'EXPIRED', 'ACCEPTED', 'EXPIRED', 'DECLINED'])[1 + n % 10]::invitation_state
$$;

-- Rows come in the order of the primary keys, and other indexes are made afterwards.
CREATE PROCEDURE fill(organizations bigint, invitations bigint) LANGUAGE plpgsql AS $$
DECLARE
  index_of record;
  made text[] := '{}';
  make text;
  each bigint := ceil(invitations::numeric / organizations);
BEGIN
  SET LOCAL session_replication_role = replica;  -- no look at a foreign key for each row
  FOR index_of IN
    SELECT indexrelid::regclass AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index i
     WHERE indrelid IN ('invitations'::regclass, 'members'::regclass, 'events'::regclass, 'emails'::regclass)
       AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
  LOOP
    EXECUTE format('DROP INDEX %s', index_of.name);
    made := made || index_of.definition;
  END LOOP;

  INSERT INTO invitations (organization, invitation, state, email, email_key, username, account_email, account_email_key,
                           role, inviter, offerer, code_hash, code_key_id, generation, create_time, update_time,
                           expire_time, send_time, request_time, revision)
    SELECT organization_of(o), invitation_of(0, n, 0), s, e, e, u, ue, ue,
           CASE WHEN u IS NOT NULL THEN 'READER' END::role, 'accounts/' || owner_of(o),
           CASE WHEN u IS NOT NULL THEN 'accounts/' || owner_of(o) END, sha256(e::bytea), 'bench', 1, t, t,
           CASE WHEN s = 'INVITED' THEN now() + interval '5 days' ELSE t + interval '7 days' END, t,
           CASE WHEN u IS NOT NULL THEN t END, 4
      FROM generate_series(0, organizations - 1) AS o, generate_series(0, each - 1) AS k,
           LATERAL (SELECT k * organizations + o) AS ns(n),
           LATERAL (SELECT past_state(k), 'past-' || n || '@example.com', now() - interval '1 year' + n * interval '1 second' / 1000)
             AS v(s, e, t),
           LATERAL (SELECT CASE WHEN s IN ('ACCEPTED', 'DECLINED') THEN 'past-' || n END,
                           CASE WHEN s IN ('ACCEPTED', 'DECLINED') THEN e END) AS b(u, ue);
  INSERT INTO members (organization, username, role, email, email_key, inviter)
    SELECT organization, username, role, email, email_key, inviter FROM invitations WHERE state = 'ACCEPTED';
  INSERT INTO events (organization, position, kind, actor, invitation, changes)
    SELECT organization_of(o), 2 * k + half, 'INVITED', 'accounts/' || owner_of(o),
           invitation_of(0, k * organizations + o, 0), '[{"field": "state", "before": "", "after": "INVITED"}]'
      FROM generate_series(0, organizations - 1) AS o, generate_series(0, each - 1) AS k, generate_series(1, 2) AS half;
  UPDATE organization_heads SET event_position = 2 * each;
  INSERT INTO emails (organization, email_id, invitation, kind, generation, recipient, state, due_time)
    SELECT organization, gen_random_uuid(), invitation, k.kind, 1, email, k.email_state::email_state, k.due
      FROM invitations,
           LATERAL (VALUES ('ACCOUNT_INVITATION', 'SENT', create_time),
                           ('INVITATION_REMINDER', CASE WHEN state = 'INVITED' THEN 'QUEUED' ELSE 'DROPPED' END,
                            expire_time - interval '1 day')) AS k(kind, email_state, due)
     WHERE email_key LIKE 'past-%';

  FOREACH make IN ARRAY made LOOP
    EXECUTE make;
  END LOOP;
  PERFORM count_again();
  -- statistics are taken once, below, and nobody cleans up in the middle of a measurement
  ALTER TABLE invitations SET (autovacuum_enabled = false);
  ALTER TABLE members SET (autovacuum_enabled = false);
  ALTER TABLE events SET (autovacuum_enabled = false);
  ALTER TABLE emails SET (autovacuum_enabled = false);
  ALTER TABLE organization_heads SET (autovacuum_enabled = false);
END
$$;

-- Some of the open invitations have run out.
CREATE FUNCTION run_out(count bigint) RETURNS void LANGUAGE sql AS $$
  UPDATE invitations SET expire_time = now() - interval '1 hour'
   WHERE (organization, invitation) IN (
     SELECT organization, invitation FROM invitations WHERE state = 'INVITED' AND email_key LIKE 'past-%'
      ORDER BY invitation LIMIT count);
$$;
