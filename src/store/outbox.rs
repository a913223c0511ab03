//! The outbox as the mail workers see it: lease what is due, read what an email needs, settle how it went.
//!
//! Emails are written and withdrawn in the transactions of the changes they tell about ([`super::changes`]). Nothing
//! here takes an organization's lock, and no statement but the claim touches more than one row.

use std::time::Duration;

use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::{Error, Result, interval, rows};
use crate::domain::{
    Answer, DisplayName, EmailAddress, EmailKind, EmailState, InvitationId, InvitationState, OrganizationId, Role,
    Timestamp, Username,
};

/// How far a claim looks from each end of the queue.
const WINDOW: i64 = 200;

/// An email that a worker holds until its lease ends. Attempt and end of the lease together name the holder: an
/// attempt number that was given back comes again.
#[derive(Debug)]
pub struct Held {
    pub organization: OrganizationId,
    /// The same on every attempt; the local part of its `Message-ID`.
    pub id: Uuid,
    /// `None`: about the organization.
    pub invitation: Option<InvitationId>,
    pub kind: EmailKind,
    /// Of the code that it carries; 0 where it carries none.
    pub generation: i32,
    pub recipient: EmailAddress,
    /// 1, 2, …: this attempt.
    pub attempt: i32,
    pub lease_until: Timestamp,
}

/// What an email tells, as it is at that moment.
#[derive(Debug)]
pub struct Facts {
    /// The database's clock.
    pub now: Timestamp,
    pub organization: DisplayName,
    /// BCP 47: the invitation's, else the organization's.
    pub locale: String,
    /// `None`: the email is about the organization, or the invitation is gone.
    pub invitation: Option<InvitationFacts>,
}

/// What an email tells about its invitation.
#[derive(Debug)]
pub struct InvitationFacts {
    /// The one that anybody is shown: EXPIRED from the moment on.
    pub state: InvitationState,
    pub email: EmailAddress,
    /// Whether nobody has asked for it.
    pub is_unsolicited: bool,
    pub username: Option<Username>,
    pub account_email: Option<EmailAddress>,
    pub role: Option<Role>,
    pub code_key_id: Option<String>,
    /// Of its present code; 0: it never had one.
    pub generation: i32,
    pub expire_time: Option<Timestamp>,
}

/// Where an account signs in.
#[derive(Debug)]
pub struct SignIn {
    /// `github`, `entra`, or what the configuration calls it.
    pub provider: String,
    /// Entra's.
    pub tenant: Option<String>,
}

/// Leases at most `limit` emails that are due, of one organization or of all, and counts an attempt for each.
///
/// In turn: each organization's oldest email comes before any organization's second. Turns are dealt among what stands
/// at either end of the queue, so the cost does not depend on its length, and neither does the wait of an organization
/// behind another one's flood: its email is at the young end when it is written, and the old end loses nobody. LATERAL
/// locks one row after another by the primary key; a join would read everything that is due.
/// Kinds that this version does not know are left to the replicas that do.
pub async fn claim(
    connection: &mut PgConnection,
    organization: Option<&OrganizationId>,
    limit: i64,
    lease: Duration,
) -> Result<Vec<Held>> {
    let kinds = EmailKind::ALL.map(|kind| kind.as_str().to_owned());
    let rows = sqlx::query!(
        r#"WITH ends AS (
             (SELECT organization, email_id, due_time FROM emails
               WHERE ($1::text IS NULL OR organization = $1) AND state IN ('QUEUED', 'RETRYING') AND due_time <= now()
                 AND kind = ANY($2) ORDER BY due_time LIMIT $3)
             UNION
             (SELECT organization, email_id, due_time FROM emails
               WHERE ($1::text IS NULL OR organization = $1) AND state IN ('QUEUED', 'RETRYING') AND due_time <= now()
                 AND kind = ANY($2) ORDER BY due_time DESC LIMIT $3)
           ), turns AS MATERIALIZED (
             SELECT organization, email_id FROM ends
              ORDER BY row_number() OVER (PARTITION BY organization ORDER BY due_time), due_time
           ), due AS MATERIALIZED (
             SELECT e.organization, e.email_id FROM turns t, LATERAL (
               SELECT organization, email_id FROM emails
                WHERE organization = t.organization AND email_id = t.email_id
                  AND ($1::text IS NULL OR organization = $1) AND state IN ('QUEUED', 'RETRYING') AND due_time <= now()
                  FOR UPDATE SKIP LOCKED) e
             LIMIT $4
           )
           UPDATE emails e SET attempt = e.attempt + 1, due_time = now() + $5, lease_until = now() + $5 FROM due
            WHERE ($1::text IS NULL OR e.organization = $1)
              AND e.organization = due.organization AND e.email_id = due.email_id
           RETURNING e.organization, e.email_id, e.invitation, e.kind, e.generation, e.recipient, e.attempt,
                     e.lease_until AS "lease_until!""#,
        organization.map(OrganizationId::as_str),
        &kinds,
        WINDOW,
        limit,
        interval(lease),
    )
    .fetch_all(connection)
    .await?;
    let held = rows.into_iter().map(|row| {
        let kind = EmailKind::parse(&row.kind).ok_or_else(|| Error::Fault("unknown kind of email".to_owned()))?;
        let key = row.recipient.to_lowercase();
        Ok(Held {
            organization: OrganizationId::stored(row.organization),
            id: row.email_id,
            invitation: row.invitation.map(InvitationId),
            kind,
            generation: row.generation,
            recipient: EmailAddress::stored(row.recipient, key),
            attempt: row.attempt,
            lease_until: row.lease_until,
        })
    });
    held.collect()
}

/// What a held email needs before it is sent. `None`: it is held no more, because it was withdrawn or the lease has
/// ended.
pub async fn facts(connection: &mut PgConnection, held: &Held) -> Result<Option<Facts>> {
    let row = sqlx::query!(
        r#"SELECT now() AS "now!", o.display_name, coalesce(i.locale, o.locale) AS "locale!",
                  i.state::text AS "state?", i.email AS "email?", i.email_key AS "email_key?", i.username, i.account_email,
                  i.request_time IS NULL AS "is_unsolicited!",
                  i.account_email_key, i.role::text, i.code_key_id, i.generation AS "generation?", i.expire_time,
                  coalesce(i.state IN ('INVITED', 'PENDING_APPROVAL', 'OFFERED') AND i.expire_time <= now(), false)
                    AS "overdue!"
             FROM emails e
             JOIN organizations o ON o.organization = e.organization
             LEFT JOIN invitations i ON i.organization = e.organization AND i.invitation = e.invitation
            WHERE e.organization = $1 AND e.email_id = $2 AND e.attempt = $3 AND e.lease_until = $4
              AND e.state IN ('QUEUED', 'RETRYING')"#,
        held.organization.as_str(),
        held.id,
        held.attempt,
        held.lease_until,
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let email = row.email.zip(row.email_key).map(|(typed, key)| EmailAddress::stored(typed, key));
    let account_email =
        row.account_email.zip(row.account_email_key).map(|(typed, key)| EmailAddress::stored(typed, key));
    let invitation = match (row.state, email) {
        (Some(state), Some(email)) => Some(InvitationFacts {
            state: if row.overdue { InvitationState::Expired } else { rows::state(&state)? },
            email,
            is_unsolicited: row.is_unsolicited,
            username: row.username.map(Username::stored),
            account_email,
            role: row.role.as_deref().map(rows::role).transpose()?,
            code_key_id: row.code_key_id,
            generation: row.generation.unwrap_or(0),
            expire_time: row.expire_time,
        }),
        _ => None,
    };
    Ok(Some(Facts {
        now: row.now,
        organization: DisplayName::stored(row.display_name),
        locale: row.locale,
        invitation,
    }))
}

/// Where the account signs in. A statement of its own, because accounts do not live with the organization.
pub async fn sign_in(connection: &mut PgConnection, username: &Username) -> Result<Option<SignIn>> {
    let query = sqlx::query_as!(SignIn, "SELECT provider, tenant FROM accounts WHERE username = $1", username.as_str());
    Ok(query.fetch_optional(connection).await?)
}

/// Prolongs a lease while a mail server takes its time. `false`: it was not held any more.
pub async fn renew(connection: &mut PgConnection, held: &mut Held, lease: Duration) -> Result<bool> {
    let lease_until = sqlx::query_scalar!(
        r#"UPDATE emails SET due_time = now() + $5, lease_until = now() + $5
            WHERE organization = $1 AND email_id = $2 AND attempt = $3 AND lease_until = $4
              AND state IN ('QUEUED', 'RETRYING')
           RETURNING lease_until AS "lease_until!""#,
        held.organization.as_str(),
        held.id,
        held.attempt,
        held.lease_until,
        interval(lease),
    )
    .fetch_optional(connection)
    .await?;
    Ok(lease_until.map(|end| held.lease_until = end).is_some())
}

/// Gives an untried email back, to be taken when that time has passed, and its attempt with it: nothing of the row tells
/// that it was looked at.
pub async fn release(connection: &mut PgConnection, held: &Held, wait: Duration) -> Result<()> {
    sqlx::query!(
        "UPDATE emails SET attempt = attempt - 1, due_time = now() + $5, lease_until = NULL
          WHERE organization = $1 AND email_id = $2 AND attempt = $3 AND lease_until = $4
            AND state IN ('QUEUED', 'RETRYING')",
        held.organization.as_str(),
        held.id,
        held.attempt,
        held.lease_until,
        interval(wait),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records that the mail server took it: a fact, whatever was decided meanwhile and whoever holds it now.
pub async fn settle_sent(connection: &mut PgConnection, held: &Held, answer: Answer) -> Result<()> {
    sqlx::query!(
        "UPDATE emails SET state = 'SENT', answer = $3, lease_until = NULL, update_time = now()
          WHERE organization = $1 AND email_id = $2",
        held.organization.as_str(),
        held.id,
        answer.to_string(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records anything else, to be tried again after `wait` if the state is RETRYING; only as the holder.
pub async fn settle(
    connection: &mut PgConnection,
    held: &Held,
    state: EmailState,
    answer: Answer,
    wait: Duration,
) -> Result<()> {
    sqlx::query!(
        "UPDATE emails SET state = $5::text::email_state, answer = $6, due_time = now() + $7, lease_until = NULL,
                           update_time = now()
          WHERE organization = $1 AND email_id = $2 AND attempt = $3 AND lease_until = $4
            AND state IN ('QUEUED', 'RETRYING')",
        held.organization.as_str(),
        held.id,
        held.attempt,
        held.lease_until,
        state.as_str(),
        answer.to_string(),
        interval(wait),
    )
    .execute(connection)
    .await?;
    Ok(())
}
