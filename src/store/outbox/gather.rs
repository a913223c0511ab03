//! What can go out in one email with a notice that is held.

use std::time::Duration;

use sqlx::PgConnection;

use super::{Held, Row};
use crate::domain::{Answer, EmailKind};
use crate::store::{Result, interval};

/// The most that one email stands for.
const MOST: i64 = 1000;

/// Leases what else its organization is told at the same address, as far as it is due or was put off for this. What goes
/// to the notification address goes to the present one, whichever it was written for.
///
/// It is looked for among the first of the queue only, so that the cost does not depend on how long that is.
pub async fn gather(
    connection: &mut PgConnection,
    first: &Held,
    is_to_owner: bool,
    lease: Duration,
) -> Result<Vec<Held>> {
    let kinds = EmailKind::ALL.into_iter().filter(|kind| kind.is_to_organization());
    let rows = sqlx::query_as!(
        Row,
        r#"WITH queue AS MATERIALIZED (
             SELECT organization, email_id, kind, due_time, answer, is_to_owner, recipient FROM emails
              WHERE organization = $1
                AND (organization, due_time) >= ($1, '-infinity') AND (organization, due_time) <= ($1, now() + '2 h')
                AND state IN ('QUEUED', 'RETRYING') AND kind <> ''
              ORDER BY organization, due_time LIMIT $2
           ), found AS MATERIALIZED (
             SELECT e.organization, e.email_id FROM queue q, LATERAL (
               SELECT organization, email_id FROM emails
                WHERE organization = q.organization AND email_id = q.email_id
                  AND state::text IN ('QUEUED', 'RETRYING') AND (lease_until IS NULL OR lease_until <= now())
                  AND ($1::text IS NULL OR organization = $1)
                OFFSET 0 FOR UPDATE SKIP LOCKED) e
              WHERE q.kind = ANY($3) AND (q.due_time <= now() OR q.answer = $4)
                AND q.is_to_owner = $5 AND (NOT $5 OR lower(q.recipient) = $6)
           )
           UPDATE emails e SET attempt = e.attempt + 1, due_time = now() + $7, lease_until = now() + $7 FROM found f
            WHERE ($1::text IS NULL OR e.organization = $1)
              AND e.organization = ANY (ARRAY[f.organization]) AND e.email_id = f.email_id
           RETURNING e.organization, e.email_id, e.invitation, e.kind, e.generation, e.recipient, e.attempt,
                     e.lease_until AS "lease_until!", e.answer, e.update_time, e.trace"#,
        first.organization.as_str(),
        MOST,
        &kinds.map(|kind| kind.as_str().to_owned()).collect::<Vec<_>>(),
        Answer::Gathered.to_string(),
        is_to_owner,
        first.recipient.key(),
        interval(lease),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::held).collect()
}
