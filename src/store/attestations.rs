//! When an identity last attested addresses, where its account is deleted: an older token must not bring back what a newer
//! one has replaced.

use sqlx::PgConnection;

use super::Result;
use crate::domain::Timestamp;

/// Notes it, unless something newer is known.
pub(super) async fn note(connection: &mut PgConnection, identity: &[u8], time: Timestamp) -> Result<()> {
    sqlx::query!(
        "INSERT INTO attestations AS a (identity, attest_time) VALUES ($1, $2) \
         ON CONFLICT ON CONSTRAINT attestations_pkey DO UPDATE SET attest_time = greatest(a.attest_time, excluded.attest_time)",
        identity,
        time,
    )
    .execute(connection)
    .await?;
    Ok(())
}
