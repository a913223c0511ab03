-- The rows FIRST to LAST of everything. QUIET: nothing of them is open, due or old.

-- in one of a hundred a change is due
INSERT INTO organizations (organization, display_name, notification_email, notification_email_key, pending_effective_time)
SELECT o, o, 'n@x.example', 'n@x.example', CASE WHEN NOT QUIET AND o LIKE '%00' THEN now() - interval '1 hour' END
  FROM (SELECT 'acme' WHERE FIRST = 0 UNION ALL SELECT 'o' || n FROM generate_series(FIRST / 10, LAST / 10) n) s(o);

INSERT INTO organization_heads (organization, owners, event_position, seats_taken)
SELECT o, 1, 7, 1000000
  FROM (SELECT 'acme' WHERE FIRST = 0 UNION ALL SELECT 'o' || n FROM generate_series(FIRST / 10, LAST / 10) n) s(o);

-- a small organization has its owner, every second one also anna; acme has every tenth p, and the first owns it
INSERT INTO members (organization, username, role, email, email_key)
SELECT o, u, r::role, e, e
  FROM (SELECT 'o' || n, 'w' || n, 'OWNER' FROM generate_series(FIRST / 10, LAST / 10) n
        UNION ALL
        SELECT 'o' || n, 'anna', 'READER' FROM generate_series(FIRST / 10, LAST / 10, 2) n
        UNION ALL
        SELECT 'acme', 'p' || n, CASE n WHEN 0 THEN 'OWNER' ELSE 'READER' END FROM generate_series(FIRST, LAST, 10) n
       ) m(o, u, r), concat(u, '@x.example') e;

-- kind 0 is INVITED, 1 the same and overdue, 2 ACCESS_REQUESTED, 3 OFFERED, 4 the same and overdue, 5 PENDING_APPROVAL,
-- 6 ACCEPTED, 7 DECLINED, 8 REVOKED, 9 EXPIRED, of which every seventh is erased; what was declined in a small
-- organization, anna has declined
INSERT INTO invitations (organization, invitation, state, email, email_key, inviter, username, account_email,
                         account_email_key, role, offerer, code_hash, code_key_id, generation, expire_time, send_time,
                         annotations)
SELECT org(n), inv(n),
       (ARRAY['INVITED', 'INVITED', 'ACCESS_REQUESTED', 'OFFERED', 'OFFERED', 'PENDING_APPROVAL', 'ACCEPTED', 'DECLINED',
              'REVOKED', 'EXPIRED']::invitation_state[])[kind + 1],
       e, e, 'accounts/olga', u, CASE WHEN u IS NOT NULL THEN a END, CASE WHEN u IS NOT NULL THEN a END,
       CASE WHEN kind BETWEEN 3 AND 6 THEN 'READER'::role END, CASE WHEN kind BETWEEN 3 AND 6 THEN 'accounts/olga' END,
       hash(n), 'k', 1,
       CASE WHEN kind <> 2 THEN now() + CASE WHEN kind IN (1, 4, 9) THEN interval '-1 day' ELSE interval '7 days' END END,
       now(), jsonb_build_object('ticket', 'T-' || n % 500)
  FROM generate_series(FIRST, LAST) n, concat('p', n, '@x.example') a,
       LATERAL (SELECT CASE WHEN QUIET THEN 6 + (n / 10 + n) % 4 ELSE (n / 10 + n) % 10 END) k(kind),
       LATERAL (SELECT CASE WHEN kind = 7 AND n % 10 > 2 THEN 'anna' WHEN kind BETWEEN 2 AND 7 THEN 'p' || n END) b(u),
       LATERAL (SELECT CASE WHEN kind = 9 AND n % 7 = 0 THEN '' ELSE a END) r(e);

INSERT INTO annotations (organization, key, value, invitation)
SELECT org(n), 'ticket', 'T-' || n % 500, inv(n) FROM generate_series(FIRST, LAST) n;

-- one in three of acme is about its first invitation
INSERT INTO events (organization, position, kind, actor, invitation)
SELECT org(n), n, 'RESENT', 'accounts/olga', CASE WHEN n % 30 = 0 THEN inv(0) ELSE inv(n) END
  FROM generate_series(FIRST, LAST) n;

-- each invitation has one that was sent, or failed or was dropped, and one that is due, every tenth one for later; a worker holds every 1000th,
-- and every 100th waits for its recipient
INSERT INTO emails (organization, email_id, invitation, kind, generation, recipient, state, due_time, attempt, lease_until,
                    wait_time)
SELECT org(n), rnd(3 * n + m), inv(n), CASE m WHEN 2 THEN 'INVITATION_REMINDER' ELSE 'ACCOUNT_INVITATION' END, 1,
       concat('p', n, '@x.example'), (CASE WHEN m > 0 THEN 'QUEUED' WHEN n % 50 = 1 THEN 'FAILED' WHEN n % 50 = 2 THEN 'DROPPED' ELSE 'SENT' END)::email_state,
       CASE WHEN m = 2 THEN now() + interval '6 days' WHEN is_held THEN '2100-01-01' ELSE now() - n * interval '1 ms' END,
       CASE WHEN is_held THEN 1 ELSE 0 END, CASE WHEN is_held THEN '2100-01-01'::timestamptz END,
       CASE WHEN m = 1 AND n % 100 = 0 THEN '2100-01-01'::timestamptz END
  FROM generate_series(FIRST, LAST) n,
       generate_series(0, CASE WHEN QUIET THEN 0 WHEN n % 10 = 0 THEN 2 ELSE 1 END) m,
       LATERAL (SELECT m = 1 AND n % 1000 = 0) h(is_held);

-- an organization with due emails stands in the queue
INSERT INTO mail_turns (organization, turn_time)
SELECT o, CASE WHEN NOT QUIET THEN now() - n * interval '1 ms' END
  FROM (SELECT 'acme', 0 WHERE FIRST = 0 UNION ALL SELECT 'o' || n, n FROM generate_series(FIRST / 10, LAST / 10) n) s(o, n);

-- and one in a hundred has been written to as an owner
INSERT INTO emails (organization, email_id, kind, recipient, state)
SELECT org(n), rnd(-10 - n), 'ORGANIZATION_CHANGED', concat('P', n, '@x.example'), 'SENT'
  FROM generate_series(FIRST, LAST) n WHERE n % 100 = 0;

-- of those that are kept for a while, every second one is old
INSERT INTO request_ids (organization, caller, request_id, method, digest, resource, create_time)
SELECT org(n), 'accounts/olga', rnd(n), 'M', hash(n), 'r',
       CASE WHEN NOT QUIET AND n % 2 = 0 THEN now() - interval '2 days' ELSE now() END
  FROM generate_series(FIRST, LAST) n;

INSERT INTO account_request_ids (identity, request_id, method, digest, resource, create_time)
SELECT hash(n), rnd(n), 'M', hash(n), 'r', CASE WHEN NOT QUIET AND n % 2 = 0 THEN now() - interval '2 days' ELSE now() END
  FROM generate_series(FIRST, LAST) n;

INSERT INTO attestations (identity, attest_time) SELECT hash(n), '2020-01-01' FROM generate_series(FIRST, LAST) n;

INSERT INTO subject_limits (subject, bucket_time, used, totals)
SELECT 's' || n, CASE WHEN NOT QUIET AND n % 2 = 0 THEN now() - interval '3 days' ELSE '2100-01-01' END, 1, '{1}'
  FROM generate_series(FIRST, LAST) n;

-- one in a hundred is deleted; of these, one in a hundred has not left acme yet
INSERT INTO accounts (username, identity, display_name, provider, tenant, delete_time, left_time)
SELECT 'p' || n, CASE WHEN NOT is_deleted THEN hash(n) END, CASE WHEN NOT is_deleted THEN 'P' END, 'entra',
       CASE WHEN NOT is_deleted THEN 't' END, CASE WHEN is_deleted THEN now() - interval '2 days' END,
       CASE WHEN is_deleted AND n % 10000 > 0 THEN now() END
  FROM generate_series(FIRST, LAST) n, LATERAL (SELECT NOT QUIET AND n % 100 = 0) d(is_deleted);

INSERT INTO identities (identity, issuer, subject, username, attest_time)
SELECT hash(n), 'entra', ARRAY['t', n::text], 'p' || n, '2026-01-01' FROM generate_series(FIRST, LAST) n;

INSERT INTO account_emails (username, issuer, email, email_key, ordinal, attest_time)
SELECT 'p' || n, 'entra', a, a, m, '2026-01-01'
  FROM generate_series(FIRST, LAST) n, generate_series(0, CASE WHEN n % 10 = 0 THEN 1 ELSE 0 END) m,
       concat(m, 'p', n, '@x.example') a;

INSERT INTO erasures (username, email_key, look_time)
SELECT 'p' || n, concat('p', n, '@x.example'), CASE WHEN NOT QUIET AND n % 200 = 0 THEN now() - interval '2 days' ELSE '2100-01-01' END
  FROM generate_series(FIRST, LAST) n WHERE n % 100 = 0;

INSERT INTO email_suppressions (address_hash) SELECT hash(n) FROM generate_series(FIRST, LAST) n;

-- the keys of one deployment
INSERT INTO key_checks (kind, key_id, check_value, seen_time)
  SELECT 'code', 'k1', substr(hash(0), 1, 8), now() - interval '1 minute' WHERE FIRST = 0;
