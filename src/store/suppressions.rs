//! Addresses that want no email of people they do not know: their keyed hashes and nothing else.

use sqlx::PgConnection;

use super::Result;

pub async fn insert(connection: &mut PgConnection, address_hash: &[u8; 32]) -> Result<()> {
    sqlx::query!(
        "INSERT INTO email_suppressions (address_hash) VALUES ($1) \
         ON CONFLICT ON CONSTRAINT email_suppressions_pkey DO NOTHING",
        address_hash,
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn delete(connection: &mut PgConnection, address_hash: &[u8; 32]) -> Result<()> {
    sqlx::query!("DELETE FROM email_suppressions WHERE address_hash = $1", address_hash).execute(connection).await?;
    Ok(())
}

pub async fn is_there(connection: &mut PgConnection, address_hash: &[u8; 32]) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM email_suppressions WHERE address_hash = $1) AS "found!""#,
        address_hash,
    );
    Ok(found.fetch_one(connection).await?)
}
