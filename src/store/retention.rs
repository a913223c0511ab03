//! What goes by its age: it is thrown away, or loses its addresses.
//!
//! A round looks over all owners without a lock, in the order of time, and takes as many rows as it was told to. Then it
//! acts on these by their keys, in statements that are transactions of their own: they lock a row for no longer than it
//! takes to write some hundred others, and no organization's head. What has ended is changed by nobody else.
//!
//! The begin of a part is compared as a row: to Postgres two plain bounds are a range of so few rows that it may sort them.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::PgConnection;

use super::columns::column;
use super::erasures::{self, EmailKey, InvitationKey};
use super::{Result, interval};
use crate::domain::Timestamp;

/// A kind of what goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Old {
    /// Of changes of organizations.
    RequestIds,
    /// Of identities.
    AccountRequestIds,
    /// Counters whose window has ended.
    Limits,
    /// Emails that were sent, have failed or were dropped.
    Emails,
    /// The oldest of each organization: no hole comes to be between those that stay.
    Events,
    /// Those of ended invitations, and of the emails about them.
    Addresses,
    /// Ended invitations without addresses, with the emails about them.
    Invitations,
}

/// Which part of what is old.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Not before that time; `None`: from the oldest on.
    pub from: Option<Timestamp>,
    /// So many rows from there on are left to others.
    pub skip: i64,
    pub limit: i64,
}

/// What a round has done.
#[derive(Clone, Copy, Default, Debug)]
pub struct Round {
    /// How many rows it has looked at: fewer than the limit, if there are no more.
    pub found: usize,
    /// How many of these it has thrown away or erased.
    pub done: u64,
    /// The youngest that it has looked at.
    pub last: Option<Timestamp>,
}

/// Throws away or erases what is older than that.
pub async fn round(connection: &mut PgConnection, old: Old, age: Duration, part: Part) -> Result<Round> {
    match old {
        Old::RequestIds => request_ids(connection, age, part).await,
        Old::AccountRequestIds => account_request_ids(connection, age, part).await,
        Old::Limits => limits(connection, age, part).await,
        Old::Emails => emails(connection, age, part).await,
        Old::Events => events(connection, age, part).await,
        Old::Addresses => addresses(connection, age, part).await,
        Old::Invitations => invitations(connection, age, part).await,
    }
}

/// `= ANY` of one value is nothing that tables can be merged by: the plan looks each key up, whatever the statistics say.
async fn request_ids(connection: &mut PgConnection, age: Duration, part: Part) -> Result<Round> {
    let rows = sqlx::query!(
        "SELECT organization, caller, request_id, create_time FROM request_ids \
          WHERE create_time < now() - $1::interval \
            AND (create_time, organization) >= (coalesce($2::timestamptz, '-infinity'), '') \
          ORDER BY create_time OFFSET $3 LIMIT $4",
        interval(age),
        part.from,
        part.skip,
        part.limit,
    )
    .fetch_all(&mut *connection)
    .await?;
    let deleted = sqlx::query!(
        "DELETE FROM request_ids r USING unnest($1::text[], $2::text[], $3::uuid[]) AS k(o, c, i) \
          WHERE r.organization = ANY(ARRAY[k.o]) AND r.caller = k.c AND r.request_id = k.i",
        &column(&rows, |row| row.organization.clone()),
        &column(&rows, |row| row.caller.clone()),
        &column(&rows, |row| row.request_id),
    )
    .execute(connection)
    .await?;
    let last = rows.last().map(|row| row.create_time);
    Ok(Round { found: rows.len(), done: deleted.rows_affected(), last })
}

async fn account_request_ids(connection: &mut PgConnection, age: Duration, part: Part) -> Result<Round> {
    let rows = sqlx::query!(
        "SELECT identity, request_id, create_time FROM account_request_ids \
          WHERE create_time < now() - $1::interval \
            AND (create_time, identity) >= (coalesce($2::timestamptz, '-infinity'), '') \
          ORDER BY create_time OFFSET $3 LIMIT $4",
        interval(age),
        part.from,
        part.skip,
        part.limit,
    )
    .fetch_all(&mut *connection)
    .await?;
    let deleted = sqlx::query!(
        "DELETE FROM account_request_ids r USING unnest($1::bytea[], $2::uuid[]) AS k(h, i) \
          WHERE r.identity = ANY(ARRAY[k.h]) AND r.request_id = k.i",
        &column(&rows, |row| row.identity.clone()),
        &column(&rows, |row| row.request_id),
    )
    .execute(connection)
    .await?;
    let last = rows.last().map(|row| row.create_time);
    Ok(Round { found: rows.len(), done: deleted.rows_affected(), last })
}

/// One that was used meanwhile stays. The time is compared in a form that its index does not serve.
async fn limits(connection: &mut PgConnection, age: Duration, part: Part) -> Result<Round> {
    let rows = sqlx::query!(
        "SELECT subject, bucket_time FROM subject_limits \
          WHERE bucket_time < now() - $1::interval \
            AND (bucket_time, subject) >= (coalesce($2::timestamptz, '-infinity'), '') \
          ORDER BY bucket_time OFFSET $3 LIMIT $4",
        interval(age),
        part.from,
        part.skip,
        part.limit,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut subjects = column(&rows, |row| row.subject.clone());
    // the order in which charges lock them
    subjects.sort_unstable();
    let deleted = sqlx::query!(
        "DELETE FROM subject_limits l USING unnest($1::text[]) AS k(s) \
          WHERE l.subject = ANY(ARRAY[k.s]) AND now() - l.bucket_time > $2",
        &subjects,
        interval(age),
    )
    .execute(connection)
    .await?;
    let last = rows.last().map(|row| row.bucket_time);
    Ok(Round { found: rows.len(), done: deleted.rows_affected(), last })
}

async fn emails(connection: &mut PgConnection, age: Duration, part: Part) -> Result<Round> {
    let rows = sqlx::query!(
        "SELECT organization, email_id, update_time FROM emails \
          WHERE state IN ('SENT', 'FAILED', 'DROPPED') \
            AND update_time < now() - $1::interval \
            AND (update_time, organization) >= (coalesce($2::timestamptz, '-infinity'), '') \
          ORDER BY update_time OFFSET $3 LIMIT $4",
        interval(age),
        part.from,
        part.skip,
        part.limit,
    )
    .fetch_all(&mut *connection)
    .await?;
    let keys = column(&rows, |row| (row.organization.clone(), row.email_id));
    let done = delete_emails(connection, keys).await?;
    Ok(Round { found: rows.len(), done, last: rows.last().map(|row| row.update_time) })
}

/// Emails that may be in an attempt stay: nobody else deletes or settles in another order than that of their keys.
async fn delete_emails(connection: &mut PgConnection, mut keys: Vec<EmailKey>) -> Result<u64> {
    keys.sort_unstable();
    let deleted = sqlx::query!(
        "DELETE FROM emails e USING unnest($1::text[], $2::uuid[]) AS k(o, i) \
          WHERE e.organization = ANY(ARRAY[k.o]) AND e.email_id = k.i AND ARRAY[e.state] <@ '{SENT,FAILED,DROPPED}'",
        &column(&keys, |(organization, _)| organization.clone()),
        &column(&keys, |(_, id)| *id),
    )
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}

/// Up to the position of the youngest that was found: an event of before goes too, should a clock have been wrong.
async fn events(connection: &mut PgConnection, age: Duration, part: Part) -> Result<Round> {
    let rows = sqlx::query!(
        "SELECT organization, position, create_time FROM events \
          WHERE create_time < now() - $1::interval \
            AND (create_time, organization) >= (coalesce($2::timestamptz, '-infinity'), '') \
          ORDER BY create_time OFFSET $3 LIMIT $4",
        interval(age),
        part.from,
        part.skip,
        part.limit,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut youngest = BTreeMap::<&str, i64>::new();
    for row in &rows {
        let position = youngest.entry(&row.organization).or_default();
        *position = row.position.max(*position);
    }
    let youngest = youngest.into_iter().collect::<Vec<_>>();
    let deleted = sqlx::query!(
        "DELETE FROM events e USING unnest($1::text[], $2::bigint[]) AS k(o, p) \
          WHERE e.organization = ANY(ARRAY[k.o]) AND e.position <= k.p",
        &column(&youngest, |(organization, _)| (*organization).to_owned()),
        &column(&youngest, |(_, position)| *position),
    )
    .execute(connection)
    .await?;
    let last = rows.last().map(|row| row.create_time);
    Ok(Round { found: rows.len(), done: deleted.rows_affected(), last })
}

async fn addresses(connection: &mut PgConnection, age: Duration, part: Part) -> Result<Round> {
    let rows = sqlx::query!(
        "SELECT organization, invitation, update_time FROM invitations \
          WHERE state IN ('ACCEPTED', 'DECLINED', 'REJECTED', 'REVOKED', 'EXPIRED') AND email_key <> '' \
            AND update_time < now() - $1::interval \
            AND (update_time, organization) >= (coalesce($2::timestamptz, '-infinity'), '') \
          ORDER BY update_time OFFSET $3 LIMIT $4",
        interval(age),
        part.from,
        part.skip,
        part.limit,
    )
    .fetch_all(&mut *connection)
    .await?;
    let keys = column(&rows, |row| (row.organization.clone(), row.invitation));
    let done = erasures::erase_invitations(connection, keys).await?;
    Ok(Round { found: rows.len(), done, last: rows.last().map(|row| row.update_time) })
}

/// The emails first: cut off in between, the invitation is found again.
async fn invitations(connection: &mut PgConnection, age: Duration, part: Part) -> Result<Round> {
    let rows = sqlx::query!(
        "SELECT organization, invitation, update_time FROM invitations \
          WHERE email_key = '' AND update_time < now() - $1::interval \
            AND (update_time, organization) >= (coalesce($2::timestamptz, '-infinity'), '') \
          ORDER BY update_time OFFSET $3 LIMIT $4",
        interval(age),
        part.from,
        part.skip,
        part.limit,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut keys: Vec<InvitationKey> = column(&rows, |row| (row.organization.clone(), row.invitation));
    keys.sort_unstable();
    let emails = erasures::emails_about(connection, &keys).await?;
    delete_emails(connection, emails).await?;
    // erased already, unless the release before has done it, which knows of none
    erasures::forget_annotations(connection, &keys).await?;
    let deleted = sqlx::query!(
        "DELETE FROM invitations i USING unnest($1::text[], $2::uuid[]) AS k(o, i) \
          WHERE i.organization = ANY(ARRAY[k.o]) AND i.invitation = k.i \
            AND ARRAY[i.state] <@ '{ACCEPTED,DECLINED,REJECTED,REVOKED,EXPIRED}'",
        &column(&keys, |(organization, _)| organization.clone()),
        &column(&keys, |(_, id)| *id),
    )
    .execute(connection)
    .await?;
    Ok(Round { found: rows.len(), done: deleted.rows_affected(), last: rows.last().map(|row| row.update_time) })
}
