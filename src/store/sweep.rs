//! What has to be closed or thrown away. These look over all organizations without a lock and only propose; the acting
//! statement names one owner and checks again.

use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::Result;
use super::request_ids::Key;
use crate::domain::{InvitationId, OrganizationId, Username};

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

/// Deleted accounts that may not have left every organization yet, the oldest deletion first.
pub async fn unfinished_deletions(connection: &mut PgConnection, limit: i64) -> Result<Vec<Username>> {
    let rows = sqlx::query_scalar!(
        "SELECT username FROM accounts WHERE delete_time IS NOT NULL AND left_time IS NULL ORDER BY delete_time LIMIT $1",
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Username::stored).collect())
}

/// Says that a deleted account has left every organization. Not at once: what was decided before the deletion, and is
/// committed after it, may still bind the account.
pub async fn finish_deletion(connection: &mut PgConnection, username: &Username) -> Result<()> {
    sqlx::query!(
        "UPDATE accounts SET left_time = now() WHERE username = $1 AND now() - delete_time > interval '10 minutes'",
        username.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The oldest request ids that nobody may ask for any more.
pub async fn old_request_ids(connection: &mut PgConnection, limit: i64) -> Result<Vec<Key>> {
    let rows = sqlx::query!(
        "SELECT organization, caller, request_id FROM request_ids WHERE create_time < now() - interval '24 hours' \
          ORDER BY create_time LIMIT $1",
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.organization, row.caller, row.request_id)).collect())
}

/// `= ANY` of one value is nothing that tables can be merged by: the plan looks each key up, whatever the statistics say.
pub async fn purge_request_ids(connection: &mut PgConnection, keys: &[Key]) -> Result<()> {
    sqlx::query!(
        "DELETE FROM request_ids r USING unnest($1::text[], $2::text[], $3::uuid[]) AS k(o, c, i) \
          WHERE r.organization = ANY(ARRAY[k.o]) AND r.caller = k.c AND r.request_id = k.i",
        &keys.iter().map(|key| key.0.clone()).collect::<Vec<_>>(),
        &keys.iter().map(|key| key.1.clone()).collect::<Vec<_>>(),
        &keys.iter().map(|key| key.2).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Request ids of identities that nobody may ask for any more: the keys, for one DELETE each.
pub async fn old_account_request_ids(connection: &mut PgConnection, limit: i64) -> Result<Vec<(Vec<u8>, Uuid)>> {
    let rows = sqlx::query!(
        "SELECT identity, request_id FROM account_request_ids WHERE create_time < now() - interval '24 hours' \
          ORDER BY create_time LIMIT $1",
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.identity, row.request_id)).collect())
}

pub async fn purge_account_request_id(connection: &mut PgConnection, identity: &[u8], id: Uuid) -> Result<()> {
    sqlx::query!("DELETE FROM account_request_ids WHERE identity = $1 AND request_id = $2", identity, id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Counters whose window has ended long ago, for one DELETE each.
pub async fn old_limits(connection: &mut PgConnection, limit: i64) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "SELECT subject FROM subject_limits WHERE bucket_time < now() - interval '2 days' ORDER BY bucket_time LIMIT $1",
        limit,
    )
    .fetch_all(connection)
    .await?)
}

/// The time is compared in a form that its index does not serve.
pub async fn purge_limits(connection: &mut PgConnection, subject: &str) -> Result<()> {
    sqlx::query!("DELETE FROM subject_limits WHERE subject = $1 AND now() - bucket_time > interval '2 days'", subject)
        .execute(connection)
        .await?;
    Ok(())
}
