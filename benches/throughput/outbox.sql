-- Invitations of a measurement whose emails are all due in the moment of the commit.
CREATE FUNCTION seed_outbox(run bigint, organizations bigint, emails bigint) RETURNS void LANGUAGE sql AS $$
  INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, code_hash, code_key_id, generation,
                           expire_time, send_time)
    SELECT organization_of(1 + n % organizations), invitation_of(run, n, 0), 'INVITED', e, e,
           'accounts/' || owner_of(1 + n % organizations), sha256(e::bytea), 'bench', 1, now() + interval '7 days', now()
      FROM generate_series(0, emails - 1) AS n, LATERAL (SELECT 'outbox-' || run || '-' || n || '@example.com') AS l(e);
  INSERT INTO emails (organization, email_id, invitation, kind, generation, recipient)
    SELECT organization_of(1 + n % organizations), gen_random_uuid(), invitation_of(run, n, 0), 'ACCOUNT_INVITATION', 1,
           'outbox-' || run || '-' || n || '@example.com'
      FROM generate_series(0, emails - 1) AS n;
$$;
