//! Request ids of committed successes, kept for 24 hours.

use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::Result;
use crate::domain::Remembered;

/// Organization, typed caller, id.
pub type Key = (String, String, Uuid);

/// A request that was carried out.
#[derive(Debug)]
pub struct Done {
    pub key: Key,
    pub remembered: Remembered,
}

/// What a request id was used for.
pub async fn find(connection: &mut PgConnection, (organization, caller, id): &Key) -> Result<Option<Remembered>> {
    let remembered = sqlx::query_as!(
        Remembered,
        "SELECT method, digest, resource FROM request_ids WHERE organization = $1 AND caller = $2 AND request_id = $3",
        organization,
        caller,
        id,
    );
    Ok(remembered.fetch_optional(connection).await?)
}

/// The same for RPCs of accounts, under the hash of the identity that called.
pub async fn find_of_identity(
    connection: &mut PgConnection,
    identity: &[u8; 32],
    id: Uuid,
) -> Result<Option<Remembered>> {
    Ok(sqlx::query_as!(
        Remembered,
        "SELECT method, digest, resource FROM account_request_ids WHERE identity = $1 AND request_id = $2",
        identity,
        id,
    )
    .fetch_optional(connection)
    .await?)
}

pub async fn insert_of_identity(
    connection: &mut PgConnection,
    identity: &[u8; 32],
    id: Uuid,
    remembered: &Remembered,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO account_request_ids (identity, request_id, method, digest, resource) VALUES ($1, $2, $3, $4, $5)",
        identity,
        id,
        remembered.method,
        remembered.digest,
        remembered.resource,
    )
    .execute(connection)
    .await?;
    Ok(())
}
