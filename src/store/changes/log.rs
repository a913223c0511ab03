//! Appends events and emails, and takes emails back.

use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::{column, text, username};
use crate::domain::{Actor, Email, Event, InvitationId, OrganizationId, Withdrawal};
use crate::store::{Result, events};

pub(super) async fn insert_events(connection: &mut PgConnection, rows: &[(OrganizationId, &Event)]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO events (organization, position, kind, actor, invitation, username, changes, create_time, \
                             request_id) \
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::jsonb[], \
                              $8::timestamptz[], $9::uuid[])",
        &column(rows, |(id, _)| text(id)),
        &column(rows, |(_, event)| event.position),
        &column(rows, |(_, event)| event.kind.as_str().to_owned()),
        &column(rows, |(_, event)| event.actor.as_ref().map(Actor::to_string)) as &[Option<String>],
        &column(rows, |(_, event)| event.invitation.map(|InvitationId(id)| id)) as &[Option<Uuid>],
        &column(rows, |(_, event)| event.member.as_ref().map(username)) as &[Option<String>],
        &column(rows, |(_, event)| events::encode_changes(&event.changes)),
        &column(rows, |(_, event)| event.create_time),
        &column(rows, |(_, event)| event.request_id) as &[Option<Uuid>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Locks in the order of the keys, as settling does: the only two that lock several emails without SKIP LOCKED.
pub(super) async fn withdraw_emails(
    connection: &mut PgConnection,
    rows: &[(OrganizationId, Withdrawal)],
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let kinds = |withdrawal: &Withdrawal| match withdrawal {
        Withdrawal::All(id) => (id.0, "ALL"),
        Withdrawal::Reminders(id) => (id.0, "REMINDERS"),
        Withdrawal::Codes(id) => (id.0, "CODES"),
    };
    sqlx::query!(
        "WITH due AS MATERIALIZED ( \
           SELECT e.organization, e.email_id FROM unnest($1::text[], $2::uuid[], $3::text[]) AS n(o, i, k) \
             JOIN emails e ON e.invitation = n.i AND e.organization = n.o AND e.state IN ('QUEUED', 'RETRYING') \
              AND (n.k = 'ALL' OR n.k = 'REMINDERS' AND e.kind LIKE '%\\_REMINDER' OR n.k = 'CODES' AND e.generation > 0) \
            ORDER BY e.organization, e.email_id FOR UPDATE OF e) \
         UPDATE emails e SET state = 'DROPPED', answer = 'MOVED_ON', lease_until = NULL, update_time = now() FROM due \
          WHERE e.organization = due.organization AND e.email_id = due.email_id",
        &column(rows, |(id, _)| text(id)),
        &column(rows, |(_, withdrawal)| kinds(withdrawal).0),
        &column(rows, |(_, withdrawal)| kinds(withdrawal).1.to_owned()),
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn insert_emails(connection: &mut PgConnection, rows: &[(OrganizationId, &Email)]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO emails (organization, email_id, invitation, kind, generation, recipient, due_time) \
         SELECT o, gen_random_uuid(), i, k, g, r, d \
           FROM unnest($1::text[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::timestamptz[]) AS n(o, i, k, g, r, d)",
        &column(rows, |(id, _)| text(id)),
        &column(rows, |(_, email)| email.invitation.map(|InvitationId(id)| id)) as &[Option<Uuid>],
        &column(rows, |(_, email)| email.kind.as_str().to_owned()),
        &column(rows, |(_, email)| email.generation),
        &column(rows, |(_, email)| email.recipient.wire()),
        &column(rows, |(_, email)| email.due_time),
    )
    .execute(connection)
    .await?;
    Ok(())
}
