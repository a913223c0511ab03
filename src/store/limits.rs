//! Counters of what a caller, an identity or an address may do only so often, over all replicas.
//!
//! Each statement is a transaction of its own: what was counted stays counted, whatever becomes of the call.

use std::time::Duration;

use sqlx::PgConnection;

use super::{Result, interval};
use crate::domain::{Timestamp, Window};

/// One that was counted, and may be given back.
#[derive(Debug)]
pub struct Charge {
    subject: String,
    /// The window that it was counted in.
    bucket_time: Timestamp,
}

/// Counts one more for a subject, unless that is more than the limit, at least 1, allows in a window of that length;
/// `None`: nothing was counted. Exact however many do it at once, because it decides on the row that it locks.
///
/// The rule is [`Window`]'s: the windows follow one another from the first charge on, and the one before counts by the
/// part of it that is left, rounded down. Only `excluded` knows the time: Citus allows nothing but immutable functions
/// in what is done on a conflict, and no SELECT in place of VALUES.
pub async fn charge(
    connection: &mut PgConnection,
    subject: &str,
    window: Duration,
    limit: i32,
) -> Result<Option<Charge>> {
    let bucket_time = sqlx::query_scalar!(
        "INSERT INTO subject_limits AS l (subject, bucket_time, used, used_before) VALUES ($1, now(), 1, 0) \
         ON CONFLICT ON CONSTRAINT subject_limits_pkey DO UPDATE SET \
           bucket_time = greatest(l.bucket_time, date_bin($2, excluded.bucket_time, l.bucket_time)), \
           used = CASE WHEN excluded.bucket_time - l.bucket_time < $2 THEN l.used + 1 ELSE 1 END, \
           used_before = CASE WHEN excluded.bucket_time - l.bucket_time < $2 THEN l.used_before \
                              WHEN excluded.bucket_time - l.bucket_time < $2 * 2 THEN l.used ELSE 0 END \
         WHERE CASE WHEN excluded.bucket_time - l.bucket_time < $2 \
                    THEN l.used + floor(l.used_before \
                         * (1 - greatest(0, extract(epoch FROM excluded.bucket_time - l.bucket_time)) / extract(epoch FROM $2::interval))) \
                    WHEN excluded.bucket_time - l.bucket_time < $2 * 2 \
                    THEN floor(l.used \
                         * (2 - extract(epoch FROM excluded.bucket_time - l.bucket_time) / extract(epoch FROM $2::interval))) \
                    ELSE 0 END < $3::int \
         RETURNING bucket_time",
        subject,
        interval(window),
        limit,
    )
    .fetch_optional(connection)
    .await?;
    Ok(bucket_time.map(|bucket_time| Charge { subject: subject.to_owned(), bucket_time }))
}

/// Takes a charge back, as if it had never been.
pub async fn give_back(connection: &mut PgConnection, charge: &Charge, window: Duration) -> Result<()> {
    sqlx::query!(
        "UPDATE subject_limits \
            SET used = used - CASE WHEN bucket_time = $2 THEN 1 ELSE 0 END, \
                used_before = used_before - CASE WHEN bucket_time - $2 = $3 THEN 1 ELSE 0 END \
          WHERE subject = $1 AND (bucket_time = $2 AND used > 0 OR bucket_time - $2 = $3 AND used_before > 0)",
        charge.subject,
        charge.bucket_time,
        interval(window),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What was counted for a subject, and the database's clock.
pub async fn counted(connection: &mut PgConnection, subject: &str) -> Result<Option<(Window, Timestamp)>> {
    let row = sqlx::query!(
        r#"SELECT bucket_time, used, used_before, now() AS "now!" FROM subject_limits WHERE subject = $1"#,
        subject,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (Window { start: row.bucket_time, used: row.used, used_before: row.used_before }, row.now)))
}

/// A hash as part of a subject.
pub fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::with_capacity(hash.len() * 2), |mut text, byte| {
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
        text.extend([digit(byte >> 4), digit(byte & 15)]);
        text
    })
}
