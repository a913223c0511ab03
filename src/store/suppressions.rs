//! Addresses that want no email of people they do not know: their keyed hashes and nothing else.

use sqlx::PgConnection;

use super::Result;
use super::columns::column;

/// `false`: it was there before.
pub async fn insert(connection: &mut PgConnection, address_hash: &[u8; 32]) -> Result<bool> {
    let result = sqlx::query!(
        "INSERT INTO email_suppressions (address_hash) VALUES ($1) \
         ON CONFLICT ON CONSTRAINT email_suppressions_pkey DO NOTHING",
        address_hash,
    )
    .execute(connection)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// `false`: it was not there.
pub async fn delete(connection: &mut PgConnection, address_hash: &[u8; 32]) -> Result<bool> {
    let deletion = sqlx::query!("DELETE FROM email_suppressions WHERE address_hash = $1", address_hash);
    Ok(deletion.execute(connection).await?.rows_affected() > 0)
}

/// Which of these addresses are suppressed, in the order asked.
pub async fn are_there(connection: &mut PgConnection, address_hashes: &[[u8; 32]]) -> Result<Vec<bool>> {
    if address_hashes.is_empty() {
        return Ok(Vec::new());
    }
    let found = sqlx::query_scalar!(
        "SELECT address_hash FROM email_suppressions WHERE address_hash = ANY($1)",
        &column(address_hashes, |hash| hash.to_vec()),
    )
    .fetch_all(connection)
    .await?;
    Ok(address_hashes.iter().map(|hash| found.iter().any(|found| found == hash)).collect())
}
