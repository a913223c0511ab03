-- What years leave behind, dealt to all organizations: of 20 rows 3 are invitations that have ended, 6 are emails about
-- them, 6 are events, and 5 are request ids. The invitations lose their addresses and stay; the others go.
CREATE PROCEDURE fill(count bigint) LANGUAGE plpgsql AS $$
DECLARE
  each bigint := count * 3 / 20;
BEGIN
  SET LOCAL session_replication_role = replica;  -- no look at a foreign key for each row
  INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, code_hash, code_key_id, generation,
                           create_time, update_time, expire_time, send_time)
    SELECT organization_of(n % 1001), invitation_of(0, n, 0), 'EXPIRED', e, e, 'accounts/' || owner_of(n % 1001),
           sha256(e::bytea), 'bench', 1, t, t, t, t
      FROM generate_series(0, each - 1) n,
           LATERAL (SELECT 'old-' || n || '@example.com', now() - interval '1 year' + n * interval '1 second') v(e, t);
  INSERT INTO emails (organization, email_id, invitation, kind, generation, recipient, state, create_time, update_time)
    SELECT organization, gen_random_uuid(), invitation, k, 1, email, 'SENT', create_time, update_time
      FROM invitations, unnest(ARRAY['ACCOUNT_INVITATION', 'INVITATION_REMINDER']) k WHERE email_key LIKE 'old-%';
  INSERT INTO events (organization, position, kind, actor, invitation, changes, create_time)
    SELECT organization_of(n % 1001), 2 * (n / 1001) + half, 'INVITED', 'accounts/' || owner_of(n % 1001),
           invitation_of(0, n, 0), '[{"field": "state", "after": "INVITED"}]',
           now() - interval '1 year' + n * interval '1 second'
      FROM generate_series(0, each - 1) n, generate_series(1, 2) half;
  UPDATE organization_heads h SET event_position =
    coalesce((SELECT max(position) FROM events e WHERE e.organization = h.organization), 0);
  INSERT INTO request_ids (organization, caller, request_id, method, digest, resource, create_time)
    SELECT organization_of(n % 1001), 'accounts/' || owner_of(n % 1001), gen_random_uuid(), 'CreateInvitation',
           sha256(n::text::bytea), organization_of(n % 1001), now() - interval '2 days' - n * interval '1 second'
      FROM generate_series(1, count / 4) n;
END
$$;

CREATE FUNCTION old_rows() RETURNS bigint LANGUAGE sql AS $$
  SELECT (SELECT count(*) FROM request_ids WHERE create_time < now() - interval '1 day')
       + (SELECT count(*) FROM events WHERE create_time < now() - interval '30 days')
       + (SELECT count(*) FROM emails WHERE state = 'SENT' AND update_time < now() - interval '30 days')
       + (SELECT count(*) FROM invitations WHERE state = 'EXPIRED' AND email_key <> '' AND update_time < now() - interval '30 days')
$$;
