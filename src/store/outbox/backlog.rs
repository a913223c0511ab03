//! What of the outbox was not sent yet.

use sqlx::PgConnection;

use crate::domain::{Answer, EmailKind, EmailState, Pending, Timestamp};
use crate::store::Result;

/// What waits at a moment.
#[derive(Debug)]
pub struct Backlog {
    pub pending: Vec<Pending>,
    pub now: Timestamp,
}

/// Of all organizations, the first `limit` emails that were not sent, in the order in which they come due. So its cost does
/// not depend on how many there are. Kinds that this version does not know are left out.
pub async fn backlog(connection: &mut PgConnection, limit: i64) -> Result<Option<Backlog>> {
    let kinds = EmailKind::ALL.map(|kind| kind.as_str().to_owned());
    let rows = sqlx::query!(
        r#"SELECT w.state::text AS "state!", w.kind, w.is_held AS "is_held!", w.is_due AS "is_due!", w.answer,
                  count(*) AS "count!", min(w.create_time) AS "create_time!", min(w.due_time) AS "due_time!", now() AS "now!"
             FROM (SELECT state, kind, lease_until IS NOT NULL AS is_held, due_time <= now() AS is_due, answer,
                          create_time, due_time
                     FROM emails
                    WHERE state IN ('QUEUED', 'RETRYING') AND due_time < 'infinity' AND kind = ANY($1)
                    ORDER BY due_time LIMIT $2) w
            GROUP BY w.state, w.kind, w.is_held, w.is_due, w.answer"#,
        &kinds,
        limit,
    )
    .fetch_all(connection)
    .await?;
    let Some(now) = rows.first().map(|row| row.now) else { return Ok(None) };
    let pending = rows.into_iter().filter_map(|row| {
        Some(Pending {
            state: EmailState::parse(&row.state)?,
            kind: EmailKind::parse(&row.kind)?,
            is_held: row.is_held,
            is_due: row.is_due,
            answer: row.answer.as_deref().and_then(Answer::parse),
            count: row.count.unsigned_abs(),
            create_time: row.create_time,
            due_time: row.due_time,
        })
    });
    Ok(Some(Backlog { pending: pending.collect(), now }))
}
