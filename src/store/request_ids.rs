//! Request ids of committed successes, kept for 24 hours.

use std::collections::HashMap;

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

pub async fn load(connection: &mut PgConnection, keys: &[Key]) -> Result<HashMap<Key, Remembered>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        "SELECT r.organization, r.caller, r.request_id, r.method, r.digest, r.resource \
           FROM unnest($1::text[], $2::text[], $3::uuid[]) AS k(o, c, i) \
           JOIN request_ids r ON r.organization = k.o AND r.caller = k.c AND r.request_id = k.i",
        &keys.iter().map(|key| key.0.clone()).collect::<Vec<_>>(),
        &keys.iter().map(|key| key.1.clone()).collect::<Vec<_>>(),
        &keys.iter().map(|key| key.2).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    let entry = |key: Key, method, digest, resource| (key, Remembered { method, digest, resource });
    let rows = rows.into_iter();
    Ok(rows
        .map(|row| entry((row.organization, row.caller, row.request_id), row.method, row.digest, row.resource))
        .collect())
}

pub async fn insert(connection: &mut PgConnection, done: &[Done]) -> Result<()> {
    if done.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO request_ids (organization, caller, request_id, method, digest, resource) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::bytea[], $6::text[])",
        &done.iter().map(|done| done.key.0.clone()).collect::<Vec<_>>(),
        &done.iter().map(|done| done.key.1.clone()).collect::<Vec<_>>(),
        &done.iter().map(|done| done.key.2).collect::<Vec<_>>(),
        &done.iter().map(|done| done.remembered.method.clone()).collect::<Vec<_>>(),
        &done.iter().map(|done| done.remembered.digest.clone()).collect::<Vec<_>>(),
        &done.iter().map(|done| done.remembered.resource.clone()).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
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
