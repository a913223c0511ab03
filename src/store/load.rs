//! What commands touch, loaded by one statement: at one moment, each row by its key.
//!
//! Under the lock of the heads all of it stays true until the commit. It is another statement than the one that locks,
//! because the snapshot of a statement that waits for a lock is older than the lock.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::columns::only;
use super::request_ids::Key;
use super::rows::{self, AccountRow, DeliveryColumns, HeadRow, InvitationRow, MemberRow, OrganizationRow};
use super::source::Engine;
use super::{Error, Result, accounts};
use crate::domain::{
    Account, Deliveries, Invitation, InvitationId, Member, OrganizationId, OrganizationState, Remembered, Timestamp,
    Username,
};

/// What commands touch; each entry with its organization.
#[derive(Debug, Default)]
pub struct Wanted {
    pub organizations: Vec<String>,
    pub invitations: Vec<(String, Uuid)>,
    /// Keys of addresses: their open invitations, and the members who were offered a role under them.
    pub addresses: Vec<(String, String)>,
    /// Usernames: their open invitations.
    pub accounts: Vec<(String, String)>,
    /// Usernames: their accounts and memberships.
    pub people: Vec<(String, String)>,
    /// Organizations whose owners are wanted. Some of those are wanted always whose notification address is nobody's yet:
    /// they are told in its place.
    pub owners_of: Vec<String>,
    /// Organizations whose overdue invitations are wanted. Those of an organization that stands at a limit are wanted
    /// always: they still count until they are closed.
    pub overdue_of: Vec<String>,
    /// Of those among the invitations that are sent again: when they were before, as often as the limit is.
    pub resends_of: Vec<Uuid>,
    pub resends_limit: Option<i32>,
    pub request_ids: Vec<Key>,
    /// Of open invitations, where an organization has none of its own.
    pub open_invitations_limit: Option<i32>,
    /// Accounts do not live with an organization: where the database is distributed they are asked apart.
    pub engine: Engine,
}

/// What was found.
#[derive(Debug)]
pub struct Loaded {
    /// The database's clock.
    pub now: Timestamp,
    pub organizations: HashMap<OrganizationId, OrganizationState>,
    /// Those that exist; deleted ones are not among them.
    pub accounts: HashMap<Username, Account>,
    pub deliveries: HashMap<InvitationId, Deliveries>,
    pub remembered: HashMap<Key, Remembered>,
}

/// Locks the heads, in the order of the ids, so that two transactions never wait for each other; without waiting, only
/// those that no other transaction has locked. Returns the organizations of those that it has locked.
pub async fn lock(connection: &mut PgConnection, organizations: &[String], waits: bool) -> Result<HashSet<String>> {
    let only = only(organizations.iter().map(String::as_str));
    let locked = if waits {
        let waiting = sqlx::query_scalar!(
            "SELECT h.organization FROM unnest($1::text[]) AS w(o), \
                    LATERAL (SELECT organization FROM organization_heads \
                              WHERE organization = w.o AND ($2::text IS NULL OR organization = $2) FOR UPDATE) h",
            organizations,
            only,
        );
        // where others wait as well it may wait for two locks, each within its timeout: then the statement's comes first
        let is_cancelled = |error: &sqlx::Error| {
            error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("57014")
        };
        waiting
            .fetch_all(connection)
            .await
            .map_err(|error| if is_cancelled(&error) { Error::Locked } else { error.into() })?
    } else {
        let skipping = sqlx::query_scalar!(
            "SELECT h.organization FROM unnest($1::text[]) AS w(o), \
                    LATERAL (SELECT organization FROM organization_heads \
                              WHERE organization = w.o AND ($2::text IS NULL OR organization = $2) FOR UPDATE SKIP LOCKED) h",
            organizations,
            only,
        );
        skipping.fetch_all(connection).await?
    };
    Ok(locked.into_iter().collect())
}

/// The database's clock and everything that is wanted.
///
/// `thing` lists what is wanted: an organization, an invitation, a person in an organization or a request id in each row.
/// What follows looks each up by its key.
#[expect(clippy::too_many_lines, reason = "one statement")]
pub async fn load(connection: &mut PgConnection, wanted: &Wanted) -> Result<Loaded> {
    let (id_owners, ids): (Vec<_>, Vec<_>) = wanted.invitations.iter().cloned().unzip();
    let (address_owners, addresses): (Vec<_>, Vec<_>) = wanted.addresses.iter().cloned().unzip();
    let (account_owners, accounts): (Vec<_>, Vec<_>) = wanted.accounts.iter().cloned().unzip();
    let (people_owners, people): (Vec<_>, Vec<_>) = wanted.people.iter().cloned().unzip();
    let one = match wanted.engine {
        Engine::Single => None,
        Engine::Distributed => only(wanted.organizations.iter().map(String::as_str)),
    };
    let rows = sqlx::query!(
        r#"WITH invitation AS MATERIALIZED (
             SELECT n.* FROM unnest($2::text[], $3::uuid[]) AS w(o, i), LATERAL (
               SELECT organization, invitation, username, offerer, approver FROM invitations
                WHERE organization = w.o AND invitation = w.i AND ($16::text IS NULL OR organization = $16) OFFSET 0) n
             UNION
             SELECT n.* FROM unnest($4::text[], $5::text[]) AS w(o, k), LATERAL (
               SELECT organization, invitation, username, offerer, approver FROM invitations
                WHERE organization = w.o AND email_key = w.k AND ($16::text IS NULL OR organization = $16)
                  AND state IN ('INVITED', 'ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED') OFFSET 0) n
             UNION
             SELECT n.* FROM unnest($6::text[], $7::text[]) AS w(o, u), LATERAL (
               SELECT organization, invitation, username, offerer, approver FROM invitations
                WHERE organization = w.o AND username = w.u AND username IS NOT NULL AND ($16::text IS NULL OR organization = $16)
                  AND state IN ('INVITED', 'ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED') OFFSET 0) n
             UNION
             SELECT n.* FROM unnest($1::text[]) AS w(o), LATERAL (
               SELECT organization FROM organization_heads h
                WHERE organization = w.o AND ($16::text IS NULL OR organization = $16)
                  AND (organization = ANY($10) OR h.seat_limit <= h.seats_taken
                    OR coalesce(h.open_invitations_limit, $11) <= h.open_invitations) OFFSET 0) h, LATERAL (
               SELECT organization, invitation, username, offerer, approver FROM invitations
                WHERE organization = h.organization AND ($16::text IS NULL OR organization = $16)
                  AND state IN ('INVITED', 'PENDING_APPROVAL', 'OFFERED') AND expire_time <= now() ORDER BY expire_time LIMIT 256) n
           ), person AS MATERIALIZED (
             SELECT o AS organization, u AS username FROM unnest($8::text[], $9::text[]) AS w(o, u)
             UNION
             SELECT m.* FROM unnest($4::text[], $5::text[]) AS w(o, k), LATERAL (
               SELECT organization, username FROM members
                WHERE organization = w.o AND email_key = w.k AND ($16::text IS NULL OR organization = $16) OFFSET 0) m
             UNION
             SELECT m.* FROM unnest($12::text[]) AS w(o), LATERAL (
               SELECT organization, username FROM members
                WHERE organization = w.o AND role = 'OWNER' AND ($16::text IS NULL OR organization = $16) OFFSET 0) m
             UNION
             SELECT m.* FROM unnest($1::text[]) AS w(o), LATERAL (
               SELECT organization FROM organizations
                WHERE organization = w.o AND notification_key_id IS NOT NULL AND ($16::text IS NULL OR organization = $16)
               OFFSET 0) u, LATERAL (
               SELECT organization, username FROM members
                WHERE organization = u.organization AND role = 'OWNER' AND ($16::text IS NULL OR organization = $16)
                ORDER BY username LIMIT 12) m
             UNION
             SELECT n.organization, p.username FROM invitation n, LATERAL (VALUES
               (n.username), (substr(n.offerer, length('accounts/') + 1)), (substr(n.approver, length('accounts/') + 1))
               ) AS p(username) WHERE p.username IS NOT NULL
           ), thing AS (
             SELECT o AS organization, true AS is_organization, NULL::uuid AS invitation, NULL AS username,
                    NULL AS caller, NULL::uuid AS request_id FROM unnest($1::text[]) AS w(o)
             UNION ALL SELECT organization, false, invitation, NULL, NULL, NULL FROM invitation
             UNION ALL SELECT organization, false, NULL, username, NULL, NULL FROM person
             UNION ALL SELECT o, false, NULL, NULL, c, r FROM unnest($13::text[], $14::text[], $15::uuid[]) AS w(o, c, r)
           )
           SELECT clock_timestamp() AS "now!", t.organization AS "organization!",
                  o.display_name AS "o_display_name?", o.notification_email AS "o_email?",
                  o.notification_email_key AS "o_email_key?", o.notification_key_id AS "o_key_id?",
                  o.notification_generation AS "o_generation?", o.notification_expire_time AS "o_expire_time?",
                  o.locale AS "o_locale?", o.policy AS "o_policy?",
                  o.pending_change AS "o_pending?", o.pending_create_time AS "o_pending_create_time?",
                  o.pending_effective_time AS "o_pending_effective_time?",
                  o.create_time AS "o_create_time?", o.update_time AS "o_update_time?", o.revision AS "o_revision?",
                  h.event_position AS "h_event_position?", h.seat_limit AS "h_seat_limit?",
                  h.seats_taken AS "h_seats_taken?", h.owners AS "h_owners?", h.open_invitations AS "h_open?",
                  h.invitations_limit AS "h_limit?", h.open_invitations_limit AS "h_open_limit?",
                  h.invitations_slot AS "h_slot?", h.invitations_totals AS "h_totals?",
                  n.invitation AS "n_invitation?", n.state::text AS "n_state?", n.email AS "n_email?",
                  n.email_key AS "n_email_key?", n.username AS "n_username?", n.account_email AS "n_account_email?",
                  n.account_email_key AS "n_account_email_key?", n.role::text AS "n_role?", n.inviter AS "n_inviter?",
                  n.offerer AS "n_offerer?", n.approver AS "n_approver?", n.locale AS "n_locale?",
                  n.annotations AS "n_annotations?",
                  n.code_hash AS "n_code_hash?", n.code_key_id AS "n_code_key_id?", n.generation AS "n_generation?",
                  n.create_time AS "n_create_time?", n.update_time AS "n_update_time?", n.expire_time AS "n_expire_time?",
                  n.send_time AS "n_send_time?", n.request_time AS "n_request_time?", n.revision AS "n_revision?",
                  d.kinds AS "d_kinds?", d.states AS "d_states?", d.attempts AS "d_attempts?",
                  d.answers AS "d_answers?: Vec<Option<String>>", d.create_times AS "d_create_times?",
                  d.update_times AS "d_update_times?", f.further AS "further?", v.times AS "resends?", t.username AS "person?",
                  m.username AS "m_username?", m.role::text AS "m_role?", m.email AS "m_email?",
                  m.email_key AS "m_email_key?", m.inviter AS "m_inviter?", m.create_time AS "m_create_time?",
                  m.update_time AS "m_update_time?", m.revision AS "m_revision?",
                  a.username AS "a_username?", a.display_name AS "a_display_name?", a.provider AS "a_provider?",
                  a.tenant AS "a_tenant?", a.create_time AS "a_create_time?",
                  e.ordinals AS "a_ordinals?", e.emails AS "a_emails?", e.email_keys AS "a_email_keys?",
                  e.attest_time AS "a_attest_time?",
                  t.caller AS "caller?", t.request_id AS "request_id?", r.method AS "r_method?", r.digest AS "r_digest?",
                  r.resource AS "r_resource?"
             FROM thing t
             LEFT JOIN LATERAL (
               SELECT * FROM organizations
                WHERE t.is_organization AND organization = t.organization AND ($16::text IS NULL OR organization = $16)
               OFFSET 0) o ON true
             LEFT JOIN LATERAL (
               SELECT * FROM organization_heads
                WHERE t.is_organization AND organization = t.organization AND ($16::text IS NULL OR organization = $16)
               OFFSET 0) h ON true
             LEFT JOIN LATERAL (
               SELECT * FROM invitations
                WHERE organization = t.organization AND invitation = t.invitation
                  AND ($16::text IS NULL OR organization = $16) OFFSET 0) n ON true
             LEFT JOIN LATERAL (
               SELECT array_agg(kind) AS kinds, array_agg(state::text) AS states, array_agg(attempt) AS attempts,
                      array_agg(answer) AS answers, array_agg(create_time) AS create_times,
                      array_agg(update_time) AS update_times
                 FROM (
                   SELECT kind, state, attempt, answer, create_time, update_time FROM emails
                    WHERE invitation = n.invitation AND organization || '' = n.organization
                      AND ($16::text IS NULL OR organization = $16)
                    ORDER BY create_time DESC LIMIT 50) newest) d ON true
             LEFT JOIN LATERAL (
               SELECT count(*) AS further FROM (
                 SELECT 1 FROM emails
                  WHERE invitation = n.invitation AND organization || '' = n.organization
                    AND ($16::text IS NULL OR organization = $16)
                  ORDER BY create_time DESC OFFSET 50 LIMIT 1000) older) f ON true
             LEFT JOIN LATERAL (
               SELECT array_agg(create_time) AS times FROM (
                 SELECT create_time FROM events
                  WHERE n.invitation = ANY($17) AND invitation = n.invitation AND organization || '' = n.organization
                    AND ($16::text IS NULL OR organization = $16) AND kind IN ('RESENT', 'CODE_ROTATED')
                  ORDER BY position DESC LIMIT $18) newest) v ON true
             LEFT JOIN LATERAL (
               SELECT * FROM members
                WHERE organization = t.organization AND username = t.username
                  AND ($16::text IS NULL OR organization = $16) OFFSET 0) m ON true
             LEFT JOIN LATERAL (
               SELECT * FROM accounts
                WHERE $16::text IS NULL AND username = t.username AND delete_time IS NULL OFFSET 0) a ON true
             LEFT JOIN LATERAL (
               SELECT array_agg(ordinal) AS ordinals, array_agg(email) AS emails, array_agg(email_key) AS email_keys,
                      max(attest_time) AS attest_time
                 FROM account_emails WHERE $16::text IS NULL AND username = a.username) e ON true
             LEFT JOIN LATERAL (
               SELECT method, digest, resource FROM request_ids
                WHERE organization = t.organization AND caller = t.caller AND request_id = t.request_id
                  AND ($16::text IS NULL OR organization = $16) OFFSET 0) r ON true
            ORDER BY t.is_organization DESC"#,
        &wanted.organizations,
        &id_owners,
        &ids,
        &address_owners,
        &addresses,
        &account_owners,
        &accounts,
        &people_owners,
        &people,
        &wanted.overdue_of,
        wanted.open_invitations_limit,
        &wanted.owners_of,
        &wanted.request_ids.iter().map(|key| key.0.clone()).collect::<Vec<_>>(),
        &wanted.request_ids.iter().map(|key| key.1.clone()).collect::<Vec<_>>(),
        &wanted.request_ids.iter().map(|key| key.2).collect::<Vec<_>>(),
        one,
        &wanted.resends_of,
        i64::from(wanted.resends_limit.unwrap_or_default()),
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut people = BTreeSet::new();
    let mut loaded = Loaded {
        now: rows.first().map_or(Timestamp::UNIX_EPOCH, |row| row.now),
        organizations: HashMap::new(),
        accounts: HashMap::new(),
        deliveries: HashMap::new(),
        remembered: HashMap::new(),
    };
    // a closure is `None` where the row is of another kind, or nothing was found
    for row in rows {
        let key = row.organization.clone();
        let organization = || {
            Some(OrganizationRow {
                organization: key.clone(),
                display_name: row.o_display_name?,
                notification_email: row.o_email?,
                notification_email_key: row.o_email_key?,
                notification_key_id: row.o_key_id,
                notification_generation: row.o_generation,
                notification_expire_time: row.o_expire_time,
                locale: row.o_locale?,
                policy: row.o_policy?,
                pending_change: row.o_pending,
                pending_create_time: row.o_pending_create_time,
                pending_effective_time: row.o_pending_effective_time,
                create_time: row.o_create_time?,
                update_time: row.o_update_time?,
                revision: row.o_revision?,
            })
        };
        let head = || {
            Some(HeadRow {
                event_position: row.h_event_position?,
                seat_limit: row.h_seat_limit,
                seats_taken: row.h_seats_taken?,
                owners: row.h_owners?,
                open_invitations: row.h_open?,
                invitations_limit: row.h_limit,
                open_invitations_limit: row.h_open_limit,
                invitations_slot: row.h_slot?,
                invitations_totals: row.h_totals?,
            })
        };
        let invitation = || {
            Some(InvitationRow {
                organization: key.clone(),
                invitation: row.n_invitation?,
                state: row.n_state?,
                email: row.n_email?,
                email_key: row.n_email_key?,
                username: row.n_username,
                account_email: row.n_account_email,
                account_email_key: row.n_account_email_key,
                role: row.n_role,
                inviter: row.n_inviter,
                offerer: row.n_offerer,
                approver: row.n_approver,
                locale: row.n_locale,
                annotations: row.n_annotations?,
                code_hash: row.n_code_hash,
                code_key_id: row.n_code_key_id,
                generation: row.n_generation?,
                create_time: row.n_create_time?,
                update_time: row.n_update_time?,
                expire_time: row.n_expire_time,
                send_time: row.n_send_time?,
                request_time: row.n_request_time,
                revision: row.n_revision?,
            })
        };
        let member = || {
            Some(MemberRow {
                username: row.m_username?,
                role: row.m_role?,
                email: row.m_email,
                email_key: row.m_email_key,
                inviter: row.m_inviter,
                create_time: row.m_create_time?,
                update_time: row.m_update_time?,
                revision: row.m_revision?,
            })
        };
        let account = || {
            Some(AccountRow {
                username: row.a_username?,
                display_name: row.a_display_name,
                provider: row.a_provider?,
                tenant: row.a_tenant,
                emails: rows::account_emails(row.a_ordinals, row.a_emails, row.a_email_keys),
                attest_time: row.a_attest_time,
                create_time: row.a_create_time?,
            })
        };
        let deliveries = DeliveryColumns {
            kinds: row.d_kinds,
            states: row.d_states,
            attempts: row.d_attempts,
            answers: row.d_answers,
            create_times: row.d_create_times,
            update_times: row.d_update_times,
            further: row.further,
        };
        let remembered =
            || Some(Remembered { method: row.r_method?, digest: row.r_digest?, resource: row.r_resource? });

        if let Some((organization, head)) = organization().zip(head()) {
            let state = OrganizationState::new(organization.into(), head.into());
            loaded.organizations.insert(state.id().clone(), state);
        }
        // the organization's own row comes first
        let state = loaded.organizations.get_mut(key.as_str());
        if let Some(invitation) = invitation() {
            let invitation = Invitation::try_from(invitation)?;
            loaded.deliveries.insert(invitation.id, deliveries.into());
            if let Some(state) = state {
                state.resends.extend(row.resends.map(|times| (invitation.id, times)));
                state.invitations.insert(invitation.id, invitation);
            }
        } else if let Some(member) = member() {
            let member = Member::from(member);
            state.map(|state| state.members.insert(member.username.clone(), member));
        }
        if let Some(account) = account().map(Account::from) {
            loaded.accounts.insert(account.username.clone(), account);
        }
        if let Some(((caller, id), remembered)) = row.caller.zip(row.request_id).zip(remembered()) {
            loaded.remembered.insert((row.organization, caller, id), remembered);
        }
        people.extend(row.person);
    }
    if one.is_some() {
        let accounts = accounts::find(connection, &Vec::from_iter(people)).await?;
        loaded.accounts.extend(accounts.into_iter().map(|account| (account.username.clone(), account)));
    }
    Ok(loaded)
}
