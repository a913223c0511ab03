//! What has to be closed, and which deletions have to be finished. These look over all organizations without a lock and
//! only propose; the command that acts names one organization and checks again.

use sqlx::PgConnection;

use super::Result;
use crate::domain::{InvitationId, OrganizationId, Timestamp, Username};

/// Overdue invitations, the longest overdue first, but for those of some organizations, which are read and passed over.
pub async fn due_invitations(
    connection: &mut PgConnection,
    without: &[String],
    limit: i64,
) -> Result<Vec<(OrganizationId, InvitationId)>> {
    let rows = sqlx::query!(
        "SELECT organization, invitation FROM invitations \
          WHERE state IN ('INVITED', 'PENDING_APPROVAL', 'OFFERED') \
            AND expire_time > '-infinity' AND expire_time <= now() AND organization <> ALL($1) \
          ORDER BY expire_time LIMIT $2",
        without,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (OrganizationId::stored(row.organization), InvitationId(row.invitation))).collect())
}

/// Organizations whose one owner has waited long enough for a change, the longest first.
pub async fn due_changes(connection: &mut PgConnection, limit: i64) -> Result<Vec<OrganizationId>> {
    let rows = sqlx::query_scalar!(
        "SELECT organization FROM organizations \
          WHERE pending_effective_time IS NOT NULL AND pending_effective_time <= now() \
          ORDER BY pending_effective_time LIMIT $1",
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(OrganizationId::stored).collect())
}

/// Accounts deleted after that moment that may not have left every organization yet, the oldest deletion first.
pub async fn unfinished_deletions(
    connection: &mut PgConnection,
    after: Option<Timestamp>,
    limit: i64,
) -> Result<Vec<(Username, Timestamp)>> {
    let rows = sqlx::query!(
        r#"SELECT username, delete_time AS "delete_time!" FROM accounts
            WHERE delete_time IS NOT NULL AND left_time IS NULL AND delete_time > coalesce($1::timestamptz, '-infinity')
            ORDER BY delete_time LIMIT $2"#,
        after,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (Username::stored(row.username), row.delete_time)).collect())
}

/// Says that a deleted account has left every organization. Not at once: what was decided before the deletion, and is
/// committed after it, may still bind the account. `true`: from now on nothing does.
pub async fn finish_deletion(connection: &mut PgConnection, username: &Username) -> Result<bool> {
    let finished = sqlx::query!(
        "UPDATE accounts SET left_time = now() WHERE username = $1 AND now() - delete_time > interval '10 minutes'",
        username.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(finished.rows_affected() > 0)
}
