//! What each statement is run with, by the file of `src/store` where it stands.
//!
//! A case names its statement by words that no other has, in one line with single blanks. Its values are what stands in
//! `EXECUTE`, with the names of names.sql. Each has to find or change something.
//!
//! The last digit of an invitation's number is its kind where the digit before it is 0: see fill.sql.

use super::Case;
use super::case;

pub const FILES: &[(&str, &[Case])] = &[
    ("accounts.rs", ACCOUNTS),
    ("callers.rs", CALLERS),
    ("changes/invitations.rs", CHANGED_INVITATIONS),
    ("changes/log.rs", LOG),
    ("changes/members.rs", CHANGED_MEMBERS),
    ("changes/organizations.rs", CHANGED_ORGANIZATIONS),
    ("erasures.rs", ERASURES),
    ("events.rs", EVENTS),
    ("invitations.rs", INVITATIONS),
    ("key_checks.rs", KEY_CHECKS),
    ("limits.rs", LIMITS),
    ("organization_lists.rs", ORGANIZATION_LISTS),
    ("organizations.rs", ORGANIZATIONS),
    ("outbox.rs", OUTBOX),
    ("registrations.rs", REGISTRATIONS),
    ("request_ids.rs", REQUEST_IDS),
    ("retention.rs", RETENTION),
    ("search/statements.rs", SEARCH),
    ("suppressions.rs", SUPPRESSIONS),
    ("sweep.rs", SWEEP),
    ("waits.rs", WAITS),
    ("load.rs", LOAD),
    ("distribution.rs, pool.rs, pruning.rs, roles.rs", SERVER),
];

const ACCOUNTS: &[Case] = &[
    case("SELECT identity FROM accounts", "'p7'"),
    case("SELECT username, provider, tenant FROM accounts WHERE username = ANY($1)", "'{p7,p8,p9}'"),
    case("a.create_time, e.ordinals, e.emails, e.email_keys, e.attest_time FROM accounts a", "'{p7}'"),
    case("a.create_time, e.ordinals, e.emails, e.email_keys, e.attest_time FROM accounts a", "'{p7,p8,p9,p11}'"),
    case("^SELECT clock_timestamp() AS \"now!\"$", ""),
    // in the biggest organization, and in a small one
    case("AS \"is_known!\"", "'{acme}', 'p10010'"),
    case("AS \"is_known!\"", "'{o1000,o1001,o1002}', 'p10026'"),
    case("WHERE username = w.u AND ($2::text IS NULL OR username = $2) FOR SHARE SKIP", "'{p7,p8,p9}', NULL"),
    case("WHERE username = w.u AND ($2::text IS NULL OR username = $2) FOR SHARE SKIP", "'{p7}', 'p7'"),
    case("WHERE identity = $1 AND attest_time = $3", "hash(7), now(), '2026-01-01'"),
    case("(attest_time IS NULL OR attest_time < $2)", "hash(7), now()"),
    case("DELETE FROM account_emails WHERE username = $1$", "'p7'"),
    case("RETURNING email_key", "'p7'"),
    case(
        "INSERT INTO account_emails",
        "'{p7,p7,p8}', '{entra,entra,entra}', '{new@x.example,p7@x.example,new@x.example}', \
         '{new@x.example,p7@x.example,new@x.example}', '{0,1,0}', '{2026-01-01,2026-01-01,2026-01-01}'",
    ),
    case("UPDATE account_emails SET attest_time", "'p7', now()"),
    case("INSERT INTO attestations", "hash(7), now()"),
    case("UPDATE accounts SET delete_time", "'p7'"),
    case("DELETE FROM identities", "hash(7)"),
    case("FROM members WHERE username = $1 AND role", "'w1000'"),
    case("FROM organization_heads WHERE organization = ANY($1) AND owners <= 1", "'{acme,o1000,o1001}'"),
    case("FROM members WHERE username = $1 UNION SELECT", "'p10010'"),
];

const CHANGED_INVITATIONS: &[Case] = &[
    case(
        "INSERT INTO invitations",
        "'{acme,o1000,o1001}', ARRAY[inv(200000),inv(200001),inv(200002)], '{INVITED,INVITED,INVITED}', '{a@n.example,b@n.example,c@n.example}', \
         '{a@n.example,b@n.example,c@n.example}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', \
         '{NULL,NULL,NULL}', '{accounts/w,accounts/w,accounts/w}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{en,en,en}', \
         ARRAY[hash(-1),hash(-2),hash(-3)], '{k,k,k}', '{1,1,1}', ARRAY[now(),now(),now()], ARRAY[now(),now(),now()], \
         ARRAY[now(),now(),now()], ARRAY[now(),now(),now()], '{NULL,NULL,NULL}', '{1,1,1}', \
         ARRAY['{}','{\"a\":\"b\"}','{}']::jsonb[]",
    ),
    case(
        "INSERT INTO annotations",
        "'{acme,acme,o1001}', '{a,ticket,ticket}', '{b,T-1,T-1}', ARRAY[inv(200000),inv(200000),inv(200001)]",
    ),
    case(
        "UPDATE invitations i SET state",
        "'{acme,o1000,o1001}', ARRAY[inv(10000),inv(10003),inv(10015)], '{1,1,1}', '{REVOKED,REVOKED,REVOKED}', '{NULL,p,p}', \
         '{NULL,p,p}', '{NULL,p,p}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', \
         ARRAY[hash(-1),hash(-2),hash(-3)], '{k,k,k}', '{1,1,1}', ARRAY[now(),now(),now()], ARRAY[now(),now(),now()], \
         ARRAY[now(),now(),now()], '{NULL,NULL,NULL}', '{2,2,2}', '{f,f,t}', NULL",
    ),
    case(
        "UPDATE invitations i SET state",
        "'{acme,acme}', ARRAY[inv(10000),inv(10020)], '{1,1}', '{REVOKED,REVOKED}', '{NULL,p}', '{NULL,p}', '{NULL,p}', \
         '{NULL,NULL}', '{NULL,NULL}', '{NULL,NULL}', ARRAY[hash(-1),hash(-2)], '{k,k}', '{1,1}', ARRAY[now(),now()], \
         ARRAY[now(),now()], ARRAY[now(),now()], '{NULL,NULL}', '{2,2}', '{f,t}', 'acme'",
    ),
];

const LOG: &[Case] = &[
    case(
        "UPDATE emails e SET state = 'DROPPED'",
        "'{acme,o1000,o1001}', ARRAY[inv(10000),inv(10003),inv(10013)], '{ALL,REMINDERS,CODES}', \
         '{MOVED_ON,MOVED_ON,MOVED_ON}', now(), '{ACCOUNT_INVITATION,INVITATION_REMINDER}', NULL",
    ),
    case(
        "UPDATE emails e SET state = 'DROPPED'",
        "'{acme,acme}', ARRAY[inv(10000),inv(10001)], '{ALL,CODES}', '{MOVED_ON,MOVED_ON}', now(), \
         '{ACCOUNT_INVITATION,INVITATION_REMINDER}', 'acme'",
    ),
    case(
        "WITH event AS ( INSERT INTO events",
        "'{acme,o1000,o1001}', '{-1,-1,-1}', '{INVITED,INVITED,INVITED}', '{accounts/w,accounts/w,accounts/w}', \
         ARRAY[inv(200000),inv(200001),inv(200002)], '{NULL,NULL,NULL}', ARRAY['[]','[]','[]']::jsonb[], \
         ARRAY[now(),now(),now()], '{NULL,NULL,NULL}', \
         '{acme,o1000,o1001}', ARRAY[inv(200000),inv(200001),inv(200002)], '{INVITED,INVITED,INVITED}', '{1,1,1}', \
         '{a,b,c}', ARRAY[now(),now(),now()], \
         '{acme,o1000,o1001}', '{accounts/w,accounts/w,accounts/w}', ARRAY[rnd(-1),rnd(-2),rnd(-3)], '{M,M,M}', \
         ARRAY[hash(1),hash(2),hash(3)], '{r,r,r}', \
         '{acme,o1000,o1001}', '{7,7,7}', '{8,8,8}', '{NULL,NULL,NULL}', '{1,1,1}', '{1,1,1}', '{1,1,1}', \
         '{NULL,NULL,NULL}', '{NULL,NULL,NULL}', '{9,9,9}', ARRAY['1','1,1','2,1,0'], now(), NULL, \
         '{acme,o1000,o1001}', ARRAY[now(),now(),now()], '{f,f,t}', '{NULL,NULL,a}'",
    ),
    case(
        "WITH event AS ( INSERT INTO events",
        "'{acme}', '{-1}', '{INVITED}', '{accounts/w}', ARRAY[inv(200000)], '{NULL}', ARRAY['[]']::jsonb[], ARRAY[now()], \
         '{NULL}', '{acme}', ARRAY[inv(200000)], '{INVITED}', '{1}', '{a}', ARRAY[now()], \
         '{acme}', '{accounts/w}', ARRAY[rnd(-1)], '{M}', ARRAY[hash(1)], '{r}', \
         '{acme}', '{7}', '{8}', '{NULL}', '{1}', '{1}', '{1}', '{NULL}', '{NULL}', '{9}', ARRAY['2,1'], now(), 'acme', \
         '{acme}', ARRAY[now()], '{f}', '{NULL}'",
    ),
];

const CHANGED_MEMBERS: &[Case] = &[
    case(
        "INSERT INTO members",
        "'{acme,o1000,o1001}', '{new,new,new}', '{READER,READER,READER}', '{a,b,c}', '{a,b,c}', '{NULL,NULL,NULL}', \
         ARRAY[now(),now(),now()], ARRAY[now(),now(),now()], '{1,1,1}'",
    ),
    case(
        "UPDATE members m SET role",
        "'{acme,acme,o1001}', '{p10,p20,w1001}', '{1,1,1}', '{READER,READER,READER}', '{a,b,c}', '{a,b,c}', '{NULL,NULL,NULL}', \
         ARRAY[now(),now(),now()], ARRAY[now(),now(),now()], '{2,2,2}', NULL",
    ),
    case(
        "UPDATE members m SET role",
        "'{acme,acme}', '{p10,p20}', '{1,1}', '{READER,READER}', '{a,b}', '{a,b}', '{NULL,NULL}', ARRAY[now(),now()], \
         ARRAY[now(),now()], '{2,2}', 'acme'",
    ),
    case("DELETE FROM members m USING", "'{acme,acme,o1001}', '{p10,p20,w1001}', '{1,1,1}', NULL"),
    case("DELETE FROM members m USING", "'{acme,acme}', '{p10,p20}', '{1,1}', 'acme'"),
];

const CHANGED_ORGANIZATIONS: &[Case] = &[
    case(
        "INSERT INTO organizations (",
        "'{n1,n2}', '{N,N}', '{a,b}', '{a,b}', '{en,en}', ARRAY['{}','{}']::jsonb[], \
         ARRAY[now(),now()], ARRAY[now(),now()], '{1,1}', '{k,NULL}', '{1,NULL}', ARRAY[now(),NULL]",
    ),
    case(
        "INSERT INTO organization_heads",
        "'{n1,n2}', '{0,0}', '{NULL,NULL}', '{1,1}', '{1,1}', '{0,0}', '{NULL,NULL}', \
         '{NULL,NULL}', '{0,0}', '{0,0}'",
    ),
    case(
        "UPDATE organizations o SET",
        "'{acme,o1000,o1001}', '{N,N,N}', '{a,b,c}', '{a,b,c}', '{en,en,en}', \
         ARRAY['{}','{}',NULL]::jsonb[], ARRAY[now(),now(),now()], '{2,2,2}', '{reminders_disabled}', NULL, \
         '{t,f,f}', ARRAY['{}',NULL,NULL]::jsonb[], ARRAY[now(),NULL,NULL], ARRAY[NULL,NULL,NULL]::timestamptz[], \
         '{k,NULL,NULL}', '{1,NULL,NULL}', ARRAY[now(),NULL,NULL]",
    ),
    case(
        "UPDATE organizations o SET",
        "'{acme}', '{N}', '{a}', '{a}', '{en}', ARRAY['{}']::jsonb[], ARRAY[now()], '{2}', '{reminders_disabled}', 'acme', \
         '{t}', ARRAY['{}']::jsonb[], ARRAY[now()], ARRAY[now()], '{k}', '{1}', ARRAY[now()]",
    ),
];

const EVENTS: &[Case] = &[
    case("FROM events WHERE organization = $1 AND position >", "'acme', 0, 51"),
    case("FROM events WHERE organization = $1 AND position >", "'acme', 50000, 51"),
    case("w.create_time AS \"written?\"", "'acme', NULL, 0"),
    case("w.create_time AS \"written?\"", "'acme', 0, 256"),
    case("w.create_time AS \"written?\"", "'acme', 50000, 256"),
    case("w.create_time AS \"written?\"", "'o1000', 0, 256"),
    case("h.event_position <> w.p", "'{acme,o1000,o1001}', '{0,0,0}'"),
    case("event_position FROM organization_heads WHERE organization = ANY($1)$", "'{acme,o1000,o1001}'"),
    case("FROM events WHERE ($1::text IS NULL OR organization = $1) AND invitation", "'acme', inv(0), 50000, 51"),
    case("FROM events WHERE ($1::text IS NULL OR organization = $1) AND invitation", "'o1000', inv(10003), 0, 51"),
];

const INVITATIONS: &[Case] = &[
    case("FROM invitations WHERE code_hash = $1 LIMIT 2", "hash(10000), 'anna', '{INVITED,OFFERED}'"),
    case("FROM invitations WHERE organization = $1 AND invitation < $2 ORDER BY", "'acme', inv(90000), 51"),
    case("FROM invitations WHERE organization = $1 AND invitation < $2 ORDER BY", "'acme', inv(1000), 51"),
    case("FROM invitations WHERE organization = $1 AND invitation < $2 ORDER BY", "'o1000', inv(90000), 51"),
    case(
        "FROM invitations WHERE username = $1 AND (invitation, organization) < ($2, $3)",
        "'anna', inv(90000), 'zzz', 51, NULL",
    ),
    case(
        "FROM invitations WHERE username = $1 AND (invitation, organization) < ($2, $3)",
        "'anna', inv(90000), 'zzz', 51, '{o8900,o8901,o8902,o8903}'",
    )
    .among(7_000),
    case(
        "FROM invitations WHERE organization = $1 AND invitation = w.i OFFSET 0",
        "'acme', ARRAY[inv(10000),inv(10001)]",
    ),
    case("SELECT organization, display_name FROM organizations WHERE", "'{acme,o1000,o1001}'"),
    case(
        "FROM unnest($2::uuid[]) AS w(i), LATERAL ( SELECT array_agg(kind)",
        "'acme', ARRAY[inv(10000),inv(10001),inv(10002)]",
    ),
];

/// As its parameters stand in `Asked`.
const SEARCH: &[Case] = &[
    case(
        "(email_key, organization, invitation) >= (w.v, $1, $3)",
        "'acme', inv(90000), inv(0), 51, 102, '{}', '{p10000@x.example}', '{}', '{}', '{}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{}'",
    ),
    case(
        "(email_key, organization, invitation) >= (w.v, $1, $3)",
        "'acme', inv(90000), inv(0), 51, 102, '{INVITED,EXPIRED,ACCESS_REQUESTED}', '{p10000@x.example,p10001@x.example,p50011@x.example}', '{}', '{}', '{}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{}'",
    ),
    case(
        "(username, invitation) >= (w.v, $3)",
        "'acme', inv(90000), inv(0), 51, 102, '{}', '{}', '{p10020}', '{}', '{}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{}'",
    ),
    case(
        "(username, invitation) >= (w.v, $3)",
        "'o8900', inv(90000), inv(0), 51, 102, '{}', '{}', '{anna}', '{}', '{}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{}'",
    ).among(7000),
    case(
        "FROM annotations WHERE organization = $1 AND key = w.k AND value = w.v",
        "'acme', inv(90000), inv(0), 51, 102, '{}', '{}', '{}', '{}', '{}', '{ticket}', '{T-1}', 1, NULL, NULL, NULL, NULL, '{}'",
    ),
    case(
        "FROM annotations WHERE organization = $1 AND key = w.k AND value = w.v",
        "'acme', inv(90000), inv(0), 51, 1000, '{}', '{}', '{}', '{}', '{}', '{ticket,ticket}', '{T-1,T-2}', 1, now() - interval '1 hour', now() + interval '1 hour', NULL, NULL, '{}'",
    ).among(300),
    case(
        "(inviter, invitation) >= (w.v, $3)",
        "'acme', inv(90000), inv(0), 51, 102, '{}', '{}', '{}', '{accounts/olga}', '{}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{}'",
    ),
    case(
        "(inviter, invitation) >= (w.v, $3)",
        "'acme', inv(1000), inv(0), 51, 102, '{}', '{}', '{}', '{accounts/olga}', '{accounts/olga}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{}'",
    ),
    case(
        "(inviter, invitation) >= (w.v, $3)",
        "'o1000', inv(90000), inv(0), 51, 102, '{}', '{}', '{}', '{accounts/olga}', '{}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{}'",
    ),
    case(
        "(offerer, invitation) >= (w.v, $3)",
        "'acme', inv(90000), inv(0), 51, 102, '{}', '{}', '{}', '{}', '{accounts/olga}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{}'",
    ),
    case(
        "(offerer, invitation) >= (w.v, $3)",
        "'acme', inv(1000), inv(0), 51, 102, '{}', '{}', '{}', '{}', '{accounts/olga,accounts/otto}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{FAILED,DROPPED}'",
    ).among(51),
    case(
        "(state, invitation) >= (w.v::email_state, $3)",
        "'acme', inv(90000), inv(0), 51, 102, '{}', '{}', '{}', '{}', '{}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{FAILED}'",
    ),
    case(
        "(state, invitation) >= (w.v::email_state, $3)",
        "'acme', inv(5000), inv(0), 51, 34, '{}', '{}', '{}', '{}', '{}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{FAILED,RETRYING,DROPPED}'",
    ),
    case(
        "late AS MATERIALIZED",
        "'acme', inv(90000), inv(0), 51, 102, '{INVITED}', '{}', '{}', '{}', '{}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{}', '{INVITED}', '{PENDING_APPROVAL,OFFERED}', false, NULL, '1 microsecond'",
    ),
    case(
        "late AS MATERIALIZED",
        "'acme', inv(90000), inv(0), 51, 102, '{EXPIRED}', '{}', '{}', '{}', '{}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{}', '{EXPIRED}', '{INVITED,PENDING_APPROVAL,OFFERED}', true, NULL, '1 microsecond'",
    ).among(1000),
    case(
        "late AS MATERIALIZED",
        "'o1000', inv(90000), inv(0), 51, 102, '{EXPIRED,REVOKED,OFFERED}', '{}', '{}', '{}', '{}', '{}', '{}', 0, NULL, NULL, NULL, NULL, '{}', '{EXPIRED,REVOKED,OFFERED}', '{INVITED,PENDING_APPROVAL}', true, NULL, '1 microsecond'",
    ),
    case(
        "late AS MATERIALIZED",
        "'acme', inv(90000), inv(0), 51, 102, '{INVITED,OFFERED}', '{}', '{}', '{}', '{}', '{}', '{}', 0, NULL, NULL, now(), now() + interval '8 days', '{}', '{}', '{INVITED,OFFERED}', true, '1 microsecond', NULL",
    ).among(1000),
    case(
        "SELECT invitation FROM invitations WHERE organization = $1 AND invitation >= $3",
        "'acme', inv(90000), inv(0), 51, 102, '{}', '{}', '{}', '{}', '{}', '{}', '{}', 0, NULL, NULL, now(), now() + interval '8 days', '{}'",
    ),
    case(
        "SELECT invitation FROM invitations WHERE organization = $1 AND invitation >= $3",
        "'acme', inv(1000), inv(0), 51, 102, '{}', '{}', '{}', '{}', '{}', '{}', '{}', 0, NULL, NULL, now(), NULL, '{}'",
    ),
    case(
        "SELECT invitation FROM invitations WHERE organization = $1 AND invitation >= $3",
        "'o1000', inv(90000), inv(0), 51, 102, '{}', '{}', '{}', '{}', '{}', '{ticket}', '{T-4}', 1, NULL, NULL, NULL, NULL, '{}'",
    ).among(7),
];

const KEY_CHECKS: &[Case] = &[
    case("SELECT kind, key_id, check_value FROM key_checks", ""),
    case("SELECT key_id, create_time FROM key_checks WHERE kind = 'code'", ""),
    case("UPDATE key_checks SET seen_time", "'k1'"),
    case("SELECT EXISTS (SELECT 1 FROM key_checks", "'k1', interval '10 minutes'"),
    case("INSERT INTO key_checks", "'{code,address}', '{k2,b}', ARRAY[substr(hash(1), 1, 8), substr(hash(2), 1, 8)]"),
];

const LIMITS: &[Case] = &[
    case("INSERT INTO subject_limits", "'{s7,s9,new}', '{1,2,3}', interval '1 day', 100"),
    case("UPDATE subject_limits l SET", "'{s7,s9}', '{0,0}', '{1,1}', NULL"),
    case("UPDATE subject_limits l SET", "'{s7}', '{0}', '{1}', 's7'"),
    case("AS \"now!\" FROM subject_limits WHERE subject = ANY($1)", "'{s7,s9}'"),
];

const ORGANIZATIONS: &[Case] = &[
    case("update_time, revision FROM organizations WHERE organization = $1", "'acme'"),
    case("FROM organization_heads h WHERE h.organization = $1", "'o1000'"),
    // of which one third is overdue
    case("FROM organization_heads h WHERE h.organization = $1", "'acme'").among(6_000),
    case("FROM members WHERE organization = $1 AND username = $2", "'acme', 'p10'"),
    case("FROM members WHERE organization = $1 AND username > $2", "'acme', '', 51"),
    case("FROM members WHERE organization = $1 AND username > $2", "'acme', 'p5', 51"),
    case("WHERE m.username = $1 AND m.organization > $2", "'anna', 'o2', 51"),
    case("WHERE organization = w.o AND username = $1 AND ($5", "'anna', '', 51, '{o1000,o1002}', NULL"),
    case("WHERE organization = w.o AND username = $1 AND ($5", "'anna', '', 51, '{o1000}', 'o1000'"),
];

const ORGANIZATION_LISTS: &[Case] = &[
    case("SELECT organization FROM organizations WHERE organization > $1", "'', 51"),
    case("SELECT organization FROM organizations WHERE organization > $1", "'o2', 51"),
    case("SELECT organization FROM organizations WHERE organization = ANY($1) AND", "'{acme,o1000,o1002}', 'b', 51"),
    case("(SELECT * FROM organizations WHERE organization = w.id OFFSET 0)", "'{o1000,o1001,o1002}'"),
    case("(SELECT * FROM organizations WHERE organization = w.id OFFSET 0)", "'{acme,o1000}'").among(6_000),
];

const OUTBOX: &[Case] = &[
    // of 16 organizations with the biggest one, and of that one alone
    case("WITH found AS", DUE_OF_16),
    case("WITH queue AS", "'acme', 1000, '{ACCOUNT_INVITATION}', 'GATHERED', false, 'x', interval '1 minute'"),
    case("WITH found AS", "'{acme}', '{ACCOUNT_INVITATION,INVITATION_REMINDER}', 16, 16, interval '1 minute', 'acme'"),
    case(
        "AS \"organization!\" FROM ( (SELECT organization FROM emails",
        "'{ACCOUNT_INVITATION,INVITATION_REMINDER}', 16",
    ),
    case("SELECT organization FROM mail_turns WHERE turn_time <= now() ORDER BY turn_time LIMIT $1$", "200"),
    case("WITH next AS", "16"),
    // of a hundred, whatever waits
    case("GROUP BY w.state, w.kind, w.is_held", "'{ACCOUNT_INVITATION,INVITATION_REMINDER}', 100").among(100),
    case("SELECT organization FROM mail_turns WHERE organization = ANY($1)", "'{acme,new}'"),
    case("INSERT INTO mail_turns (organization)", "'{acme,new}'"),
    case(
        "UPDATE mail_turns t SET turn_time = n.next",
        "'{acme,o1000,o1001}', '{ACCOUNT_INVITATION,INVITATION_REMINDER}', NULL",
    ),
    case("UPDATE mail_turns t SET turn_time = n.next", "'{acme}', '{ACCOUNT_INVITATION,INVITATION_REMINDER}', 'acme'"),
    case("AS h(organization, email_id, attempt, lease_until, place)", HELD),
    case("AS h(organization, email_id, attempt, lease_until, place)", HELD_BY_ACME),
    case(
        "UPDATE emails SET due_time = now() + $5, lease_until = now() + $5",
        "'acme', rnd(3001), 1, '2100-01-01', interval '1 minute'",
    ),
    case(
        "UPDATE emails e SET state = n.s, answer",
        "'{acme,acme}', ARRAY[rnd(3001),rnd(6001)], '{1,1}', '{2100-01-01,2100-01-01}', '{SENT,RETRYING}', '{250,450}', '{0,1 hour}', \
         '{a@x.example,b@x.example}', 'KEY_MISSING', NULL",
    ),
    case(
        "UPDATE emails e SET state = n.s, answer",
        "'{acme,acme}', ARRAY[rnd(3001),rnd(6001)], '{1,1}', '{2100-01-01,2100-01-01}', '{SENT,RETRYING}', '{250,450}', '{0,1 hour}', \
         '{a@x.example,b@x.example}', 'KEY_MISSING', 'acme'",
    ),
    case(
        "due_time = u.d, lease_until = NULL FROM",
        "'{acme,acme}', ARRAY[rnd(3001),rnd(6001)], '{1,1}', '{2100-01-01,2100-01-01}', '{0,0}', NULL",
    ),
    case(
        "due_time = u.d, lease_until = NULL FROM",
        "'{acme,acme}', ARRAY[rnd(3001),rnd(6001)], '{1,1}', '{2100-01-01,2100-01-01}', '{0,0}', 'acme'",
    ),
    case(
        "due_time = u.d, lease_until = NULL, answer",
        "'{acme,acme}', ARRAY[rnd(3001),rnd(6001)], '{1,1}', '{2100-01-01,2100-01-01}', '{0,0}', '{RECIPIENT_LIMIT,GATHERED}', \
         NULL, '{t,f}'",
    ),
    case(
        "due_time = u.d, lease_until = NULL, answer",
        "'{acme,acme}', ARRAY[rnd(3001),rnd(6001)], '{1,1}', '{2100-01-01,2100-01-01}', '{0,0}', '{RECIPIENT_LIMIT,GATHERED}', \
         'acme', '{t,f}'",
    ),
];

const DUE_OF_16: &str = "'{acme,o2000,o2001,o2002,o2003,o2004,o2005,o2006,o2007,o2008,o2009,o2010,o2011,o2012,o2013,o2014}', \
     '{ACCOUNT_INVITATION,INVITATION_REMINDER}', 1, 16, interval '1 minute', NULL";

/// Two emails that a worker holds.
const HELD: &str = "'{acme,acme}', ARRAY[rnd(3001),rnd(6001)], '{1,1}', '{2100-01-01,2100-01-01}', NULL";
const HELD_BY_ACME: &str = "'{acme,acme}', ARRAY[rnd(3001),rnd(6001)], '{1,1}', '{2100-01-01,2100-01-01}', 'acme'";

const REGISTRATIONS: &[Case] = &[
    case(
        "FROM identities WHERE identity = ANY($1) UNION ALL",
        "ARRAY[hash(7),hash(8),hash(-1)], '{new,p8,p9}', ARRAY[NULL,rnd(8),NULL]::uuid[]",
    ),
    case(
        "INSERT INTO identities",
        "ARRAY[hash(-1),hash(-2)], '{entra,entra}', ARRAY['[\"t\",\"x\"]','[\"t\",\"y\"]']::jsonb[], '{new,newer}', \
         '{2026-01-01,NULL}'",
    ),
    case(
        "INSERT INTO accounts",
        "'{new,newer}', ARRAY[hash(-1),hash(-2)], '{New,NULL}', '{entra,entra}', '{t,NULL}', '{2026-01-01,2026-01-01}'",
    ),
    case(
        "SELECT * FROM unnest($1::bytea[], $2::uuid[]",
        "ARRAY[hash(7),hash(8)], ARRAY[rnd(-1),rnd(-2)], '{M,M}', ARRAY[hash(1),hash(2)], '{r,r}'",
    ),
];

const REQUEST_IDS: &[Case] = &[
    case("FROM request_ids WHERE organization = $1 AND caller = $2", "'acme', 'accounts/olga', rnd(10000)"),
    case("^SELECT method, digest, resource FROM account_request_ids", "hash(7), rnd(7)"),
    case(
        "INSERT INTO account_request_ids (identity, request_id, method, digest, resource) VALUES",
        "hash(7), rnd(-1), 'M', hash(1), 'r'",
    ),
];

const SUPPRESSIONS: &[Case] = &[
    case("FROM email_suppressions WHERE address_hash = ANY($1)", "ARRAY[hash(7),hash(-1)]"),
    case("INSERT INTO email_suppressions", "hash(-1)"),
    case("DELETE FROM email_suppressions", "hash(7)"),
];

const CALLERS: &[Case] = &[
    case(
        "AS q(identity, username, attest_time",
        "ARRAY[hash(7),NULL,NULL], '{NULL,p10,NULL}', ARRAY[now(),NULL,NULL], '{NULL,acme,o1000}', ARRAY[NULL,inv(10000),inv(10003)], \
         '{f,t,f}', '{OWNER,MANAGER}', NULL",
    ),
    // what is asked apart, and then of one organization
    case(
        "AS q(identity, username, attest_time",
        "ARRAY[hash(7),NULL], '{p7,p10}', ARRAY[now(),NULL], '{acme,acme}', ARRAY[NULL,inv(10000)]::uuid[], '{f,t}', \
         '{OWNER,MANAGER}', 'acme'",
    ),
    case("^SELECT identity, username, attest_time FROM identities WHERE identity = ANY($1)$", "ARRAY[hash(7),hash(8)]"),
    case("FROM account_emails WHERE username = ANY($1)$", "'{p7,p10}'"),
];

const SWEEP: &[Case] = &[
    case("AND expire_time <= now() AND organization <> ALL($1)", "'{o1000}', 500"),
    case("WHERE pending_effective_time IS NOT NULL AND", "50"),
    case("FROM accounts WHERE delete_time IS NOT NULL", "NULL, 500"),
    case("UPDATE accounts SET left_time", "'p10000'"),
];

const WAITS: &[Case] = &[
    case("WHERE wait_time IS NOT NULL", "'{o1000}', 256"),
    case("SET wait_time = NULL", "'{acme,acme}', ARRAY[rnd(60301),rnd(60601)], '{2100-01-01,2100-01-01}', NULL"),
    case("SET wait_time = NULL", "'{acme,acme}', ARRAY[rnd(60301),rnd(60601)], '{2100-01-01,2100-01-01}', 'acme'"),
];

const RETENTION: &[Case] = &[
    case("request_id, create_time FROM request_ids", "interval '1 day', NULL, 0, 500"),
    case("request_id, create_time FROM request_ids", "interval '1 day', '2026-01-01', 1500, 500"),
    case(
        "DELETE FROM request_ids",
        "'{acme,acme,o1000}', '{accounts/olga,accounts/olga,accounts/olga}', ARRAY[rnd(10000),rnd(10002),rnd(10004)]",
    ),
    case("create_time FROM account_request_ids", "interval '1 day', NULL, 0, 500"),
    case("DELETE FROM account_request_ids", "ARRAY[hash(1000),hash(1002)], ARRAY[rnd(1000),rnd(1002)]"),
    case("SELECT subject, bucket_time FROM subject_limits", "interval '2 days', NULL, 0, 500"),
    case("DELETE FROM subject_limits", "'{s1000,s1002}', interval '2 days'"),
    case("SELECT organization, email_id, update_time FROM emails", "interval '-1 day', NULL, 500, 500"),
    case("DELETE FROM emails", "'{acme,o1000}', ARRAY[rnd(30180),rnd(30018)]"),
    case("SELECT organization, position, create_time FROM events", "interval '-1 day', NULL, 0, 500"),
    case("DELETE FROM events", "'{o1000,o1001}', '{10004,10014}'"),
    case("AND email_key <> '' AND update_time", "interval '-1 day', NULL, 0, 500"),
    case("WHERE email_key = '' AND update_time", "interval '-1 day', NULL, 0, 500"),
    case("DELETE FROM invitations", "'{o1040,o1110}', ARRAY[inv(10409),inv(11109)]"),
];

const ERASURES: &[Case] = &[
    case("AND email_key || '' IS NOT NULL", "'w1000'"),
    case("INSERT INTO erasures", "'new', '{a@x.example,\"\"}', NULL"),
    case("FROM erasures WHERE look_time <", "interval '1 hour', 64"),
    case("FROM invitations WHERE username = $1 AND email_key || ''", "'p10002', 256"),
    case("FROM invitations WHERE username = $1 AND email_key || ''", "'anna', 256"),
    case("FROM invitations WHERE email_key = $1 AND create_time", "'p10000@x.example', now(), 256"),
    case("FROM emails WHERE kind = 'ORGANIZATION_CHANGED' AND", "'p10000@x.example', now(), 256"),
    case("DELETE FROM erasures", "'p10000', 'p10000@x.example'"),
    case("UPDATE erasures SET look_time", "'p10000', 'p10000@x.example', interval '1 day'"),
    case("UPDATE invitations i SET email = ''", "'{acme,o1000,o1000}', ARRAY[inv(10060),inv(10006),inv(10007)]"),
    case("AND i.annotations <> '{}'", "'{acme,o1000,o1000}', ARRAY[inv(10060),inv(10006),inv(10007)]"),
    case("DELETE FROM annotations", "'{acme,o1000}', '{ticket,ticket}', '{T-60,T-6}', ARRAY[inv(10060),inv(10006)]"),
    case("FROM emails WHERE invitation = ANY($1)", "ARRAY[inv(10060),inv(10006),inv(10007)]"),
    case("UPDATE emails e SET recipient = ''", "'{acme,acme}', ARRAY[rnd(30180),rnd(30181)]"),
];

const LOAD: &[Case] = &[
    case(
        "FROM organization_heads WHERE organization = w.o AND ($2::text IS NULL OR organization = $2) FOR UPDATE)",
        "'{acme,o1000,o1001}', NULL",
    ),
    case(
        "FROM organization_heads WHERE organization = w.o AND ($2::text IS NULL OR organization = $2) FOR UPDATE)",
        "'{acme}', 'acme'",
    ),
    case(
        "FROM organization_heads WHERE organization = w.o AND ($2::text IS NULL OR organization = $2) FOR UPDATE SKIP",
        "'{acme,o1000,o1001}', NULL",
    ),
    case(
        "FROM organization_heads WHERE organization = w.o AND ($2::text IS NULL OR organization = $2) FOR UPDATE SKIP",
        "'{acme}', 'acme'",
    ),
    // without and with what is overdue
    case("WITH invitation AS MATERIALIZED", LOADED),
    case("WITH invitation AS MATERIALIZED", LOADED_OVERDUE),
    case("WITH invitation AS MATERIALIZED", LOADED_OF_ONE),
];

const SERVER: &[Case] = &[
    case("SELECT has_table_privilege($1, oid", "'pg_monitor'"),
    case("SELECT has_table_privilege(oid", ""),
    case("SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)", "'pg_monitor'"),
    case("SELECT rolbypassrls", "'pg_monitor'"),
    case("FROM pg_policy", ""),
    case("SELECT has_table_privilege('events'", ""),
    case("SELECT NOT current_setting('transaction_read_only')", ""),
    case("FROM pg_db_role_setting s, unnest(s.setconfig) AS c WHERE s.setrole = (", ""),
    case("(SELECT 1 FROM organization_heads LIMIT 1) UNION ALL", ""),
];

/// In each row another thing that is wanted.
const LOADED: &str = "'{acme,o1000}', '{acme,o1000}', ARRAY[inv(10000),inv(10003)], \
    '{acme,o1001}', '{p10020@x.example,p10013@x.example}', '{acme,o1002}', '{p10002,p10024}', \
    '{acme,o1000}', '{p10,w1000}', '{}', 1000000, '{acme,o1000}', '{acme,o1000}', '{accounts/olga,accounts/olga}', \
    ARRAY[rnd(10000),rnd(10003)], NULL, ARRAY[inv(10000)], 10";
const LOADED_OVERDUE: &str = "'{acme}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{acme}', 1000000, '{}', '{}', '{}', '{}', NULL, '{}', 10";
/// Of a distributed database.
const LOADED_OF_ONE: &str = "'{acme}', '{acme}', ARRAY[inv(10000)], '{acme}', '{p10020@x.example}', '{acme}', '{p10002}', \
    '{acme}', '{p10}', '{}', 1000000, '{acme}', '{acme}', '{accounts/olga}', ARRAY[rnd(10000)], 'acme', ARRAY[inv(10000)], 10";
