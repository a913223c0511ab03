//! Counters of what a caller may do only so often, over all replicas.

use sqlx::PgConnection;

use super::Result;
use crate::domain::Timestamp;

/// What a subject has used up in the present window.
#[derive(Debug)]
pub struct Used {
    pub count: i32,
    /// When the window ends and the count starts again.
    pub until: Timestamp,
    pub now: Timestamp,
}

/// How much of the window is used.
pub async fn used(connection: &mut PgConnection, subject: &str, window_seconds: i32) -> Result<Used> {
    Ok(sqlx::query_as!(
        Used,
        r#"WITH bucket AS MATERIALIZED (
             SELECT date_bin(make_interval(secs => $2), now(), 'epoch') AS start)
           SELECT coalesce((SELECT used FROM subject_limits l WHERE l.subject = $1 AND l.bucket_time = b.start), 0) AS "count!",
                  b.start + make_interval(secs => $2) AS "until!", now() AS "now!"
             FROM bucket b"#,
        subject,
        f64::from(window_seconds),
    )
    .fetch_one(connection)
    .await?)
}

/// Counts one more. A statement of its own: what was wrong stays counted, whatever becomes of the call.
pub async fn charge(connection: &mut PgConnection, subject: &str, window_seconds: i32) -> Result<()> {
    sqlx::query!(
        "INSERT INTO subject_limits AS l (subject, bucket_time, used) \
         VALUES ($1, date_bin(make_interval(secs => $2), now(), 'epoch'), 1) \
         ON CONFLICT ON CONSTRAINT subject_limits_pkey DO UPDATE SET used = l.used + 1",
        subject,
        f64::from(window_seconds),
    )
    .execute(connection)
    .await?;
    Ok(())
}
