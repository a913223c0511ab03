//! Takes addresses out of what stays: of invitations that have ended, with their annotations, and emails that are over.
//!
//! A deleted account is noted with each of its addresses until nothing holds them any more. An address is then empty, in
//! its text and in its key. Nothing here takes an organization's lock: what has ended is changed by nobody else.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::columns::column;
use super::{Result, annotations, interval};
use crate::domain::{Timestamp, Username};

/// Organization and id.
pub type InvitationKey = (String, Uuid);
/// Organization and id.
pub type EmailKey = (String, Uuid);

/// Something of a deleted account that has to be looked for.
#[derive(Clone)]
pub struct Erasure {
    pub username: Username,
    /// One of its addresses; empty: what was bound to the account.
    email_key: String,
    /// When the account was deleted: later invitations to the address are of somebody else's will.
    create_time: Timestamp,
}

/// It shows no address.
impl std::fmt::Debug for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erasure").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The addresses that organizations know a member by.
pub async fn told(connection: &mut PgConnection, username: &Username) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT email_key AS "email_key!" FROM members WHERE username = $1 AND email_key || '' IS NOT NULL"#,
        username.as_str(),
    )
    .fetch_all(connection)
    .await?)
}

/// Notes addresses of an account that was deleted then (`None`: now), or with an empty one what is bound to it.
pub async fn note(
    connection: &mut PgConnection,
    username: &Username,
    email_keys: &[String],
    deleted: Option<Timestamp>,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO erasures (username, email_key, create_time, look_time) \
         SELECT DISTINCT $1, k, coalesce($3, now()), coalesce($3, now()) FROM unnest($2::text[]) AS n(k) \
         ON CONFLICT ON CONSTRAINT erasures_pkey DO NOTHING",
        username.as_str(),
        email_keys,
        deleted,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What is to be erased that long after the deletion.
pub async fn due(connection: &mut PgConnection, delay: Duration, limit: i64) -> Result<Vec<Erasure>> {
    let rows = sqlx::query!(
        "SELECT username, email_key, create_time FROM erasures WHERE look_time < now() - $1::interval \
          ORDER BY look_time LIMIT $2",
        interval(delay),
        limit,
    )
    .fetch_all(connection)
    .await?;
    let erasure = |username, email_key, create_time| Erasure { username, email_key, create_time };
    let rows = rows.into_iter();
    Ok(rows.map(|row| erasure(Username::stored(row.username), row.email_key, row.create_time)).collect())
}

/// Erases up to so many invitations and the emails about them; how many. `None`: there was none left, and the note has
/// gone or, if one is still open, was put off for a day.
pub async fn round(
    connection: &mut PgConnection,
    erasure: &Erasure,
    delay: Duration,
    limit: i64,
) -> Result<Option<u64>> {
    let is_of_account = erasure.email_key.is_empty();
    let (found, emails) = if is_of_account {
        (bound(connection, erasure, limit).await?, Vec::new())
    } else {
        (addressed(connection, erasure, limit).await?, to_owner(connection, erasure, limit).await?)
    };
    let ended = found.iter().filter(|found| !found.is_open).collect::<Vec<_>>();
    if ended.is_empty() && emails.is_empty() {
        if found.is_empty() {
            forget(connection, erasure).await?;
        } else {
            put_off(connection, erasure, delay).await?;
        }
        return Ok(None);
    }
    // what it requested access with, or was offered a role under, may be in other invitations
    let others = ended.iter().filter_map(|found| found.account_email_key.clone().filter(|_| is_of_account));
    note(connection, &erasure.username, &others.collect::<Vec<_>>(), Some(erasure.create_time)).await?;
    erase_emails(connection, emails).await?;
    let keys = column(&ended, |found| (found.organization.clone(), found.invitation));
    erase_invitations(connection, keys).await.map(Some)
}

struct Found {
    organization: String,
    invitation: Uuid,
    account_email_key: Option<String>,
    is_open: bool,
}

/// Invitations that are bound to the account. What is erased already is passed over, in a form that no index serves.
async fn bound(connection: &mut PgConnection, erasure: &Erasure, limit: i64) -> Result<Vec<Found>> {
    Ok(sqlx::query_as!(
        Found,
        r#"SELECT organization, invitation, account_email_key,
                  state::text IN ('INVITED', 'ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED') AS "is_open!"
             FROM invitations WHERE username = $1 AND email_key || '' <> ''
            ORDER BY invitation, organization LIMIT $2"#,
        erasure.username.as_str(),
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// Invitations to the address, of all organizations.
async fn addressed(connection: &mut PgConnection, erasure: &Erasure, limit: i64) -> Result<Vec<Found>> {
    Ok(sqlx::query_as!(
        Found,
        r#"SELECT organization, invitation, account_email_key,
                  state::text IN ('INVITED', 'ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED') AS "is_open!"
             FROM invitations WHERE email_key = $1 AND create_time <= $2 LIMIT $3"#,
        erasure.email_key,
        erasure.create_time,
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// Emails to the address that are about an organization: the only ones that are about no invitation.
async fn to_owner(connection: &mut PgConnection, erasure: &Erasure, limit: i64) -> Result<Vec<EmailKey>> {
    let rows = sqlx::query!(
        r#"SELECT organization, email_id FROM emails
            WHERE kind = 'ORGANIZATION_CHANGED' AND lower(recipient COLLATE "C") = $1 AND create_time <= $2 LIMIT $3"#,
        erasure.email_key,
        erasure.create_time,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.organization, row.email_id)).collect())
}

async fn forget(connection: &mut PgConnection, erasure: &Erasure) -> Result<()> {
    sqlx::query!(
        "DELETE FROM erasures WHERE username = $1 AND email_key = $2",
        erasure.username.as_str(),
        erasure.email_key,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// For a day, whatever the delay is.
async fn put_off(connection: &mut PgConnection, erasure: &Erasure, delay: Duration) -> Result<()> {
    sqlx::query!(
        "UPDATE erasures SET look_time = now() - $3::interval + interval '1 day' WHERE username = $1 AND email_key = $2",
        erasure.username.as_str(),
        erasure.email_key,
        interval(delay),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes addresses and annotations out of invitations that have ended, and the addresses out of the emails about them; how
/// many invitations. Revision and times stay. The emails first: cut off in between, the invitation is found again.
pub(super) async fn erase_invitations(connection: &mut PgConnection, mut keys: Vec<InvitationKey>) -> Result<u64> {
    keys.sort_unstable();
    let emails = emails_about(connection, &keys).await?;
    erase_emails(connection, emails).await?;
    forget_annotations(connection, &keys).await?;
    let erased = sqlx::query!(
        "UPDATE invitations i SET email = '', email_key = '', annotations = '{}', \
                account_email = CASE WHEN i.account_email IS NOT NULL THEN '' END, \
                account_email_key = CASE WHEN i.account_email_key IS NOT NULL THEN '' END \
           FROM unnest($1::text[], $2::uuid[]) AS k(o, i) \
          WHERE i.organization = ANY(ARRAY[k.o]) AND i.invitation = k.i \
            AND ARRAY[i.state] <@ '{ACCEPTED,DECLINED,REJECTED,REVOKED,EXPIRED}'",
        &column(&keys, |(organization, _)| organization.clone()),
        &column(&keys, |(_, id)| *id),
    )
    .execute(connection)
    .await?;
    Ok(erased.rows_affected())
}

/// Takes away what invitations that have ended are found by.
pub(super) async fn forget_annotations(connection: &mut PgConnection, keys: &[InvitationKey]) -> Result<()> {
    let rows = sqlx::query!(
        "SELECT i.organization, i.invitation, i.annotations \
           FROM unnest($1::text[], $2::uuid[]) AS k(o, i), invitations i \
          WHERE i.organization = ANY(ARRAY[k.o]) AND i.invitation = k.i \
            AND ARRAY[i.state] <@ '{ACCEPTED,DECLINED,REJECTED,REVOKED,EXPIRED}' AND i.annotations <> '{}'",
        &column(keys, |(organization, _)| organization.clone()),
        &column(keys, |(_, id)| *id),
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut pairs = Vec::new();
    for row in rows {
        let (organization, invitation) = (row.organization, row.invitation);
        let annotations = annotations::decode(row.annotations);
        let pair = |(key, value): (&String, &String)| (organization.clone(), key.clone(), value.clone(), invitation);
        pairs.extend(annotations.pairs().iter().map(pair));
    }
    if pairs.is_empty() {
        return Ok(());
    }
    pairs.sort_unstable();
    sqlx::query!(
        "DELETE FROM annotations a USING unnest($1::text[], $2::text[], $3::text[], $4::uuid[]) AS k(o, k, v, i) \
          WHERE a.organization = ANY(ARRAY[k.o]) AND a.key = k.k AND a.value = k.v AND a.invitation = k.i",
        &column(&pairs, |(organization, ..)| organization.clone()),
        &column(&pairs, |(_, key, ..)| key.clone()),
        &column(&pairs, |(_, _, value, _)| value.clone()),
        &column(&pairs, |(.., invitation)| *invitation),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The emails about invitations.
pub(super) async fn emails_about(connection: &mut PgConnection, keys: &[InvitationKey]) -> Result<Vec<EmailKey>> {
    let rows = sqlx::query!(
        r#"SELECT organization, email_id, invitation AS "invitation!" FROM emails WHERE invitation = ANY($1)"#,
        &column(keys, |(_, id)| *id),
    )
    .fetch_all(connection)
    .await?;
    let asked = keys.iter().collect::<HashSet<_>>();
    let rows = rows.into_iter().filter(|row| asked.contains(&(row.organization.clone(), row.invitation)));
    Ok(rows.map(|row| (row.organization, row.email_id)).collect())
}

/// Takes recipients out of emails, and drops what was not sent. In the order of the keys, as settling locks them.
async fn erase_emails(connection: &mut PgConnection, mut keys: Vec<EmailKey>) -> Result<()> {
    keys.sort_unstable();
    sqlx::query!(
        "UPDATE emails e SET recipient = '', lease_until = NULL, \
                state = CASE WHEN e.state IN ('QUEUED', 'RETRYING') THEN 'DROPPED' ELSE e.state END, \
                answer = CASE WHEN e.state IN ('QUEUED', 'RETRYING') THEN 'MOVED_ON' ELSE e.answer END, \
                update_time = CASE WHEN e.state IN ('QUEUED', 'RETRYING') THEN k.now ELSE e.update_time END \
           FROM (SELECT o, i, now() AS now FROM unnest($1::text[], $2::uuid[]) AS w(o, i) OFFSET 0) k \
          WHERE e.organization = ANY(ARRAY[k.o]) AND e.email_id = k.i AND e.recipient <> ''",
        &column(&keys, |(organization, _)| organization.clone()),
        &column(&keys, |(_, id)| *id),
    )
    .execute(connection)
    .await?;
    Ok(())
}
