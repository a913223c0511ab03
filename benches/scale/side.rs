//! One of the two databases, and what it has read.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor;

use crate::rig::{Database, ORGANIZATIONS, People, Result, Service};

/// After this long without work, a process of Postgres tells its counters (`PGSTAT_IDLE_INTERVAL`).
const COUNTED_AFTER: Duration = Duration::from_secs(11);
/// What the service does by itself would come in between.
const QUIET: [(&str, &str); 2] = [("mail_poll_interval_seconds", "3600"), ("sweep_interval_seconds", "3600")];

/// A service on a database with so many invitations.
pub async fn start(
    server: &str,
    dir: &Path,
    people: &Arc<People>,
    name: &str,
    invitations: u64,
    smtp: SocketAddr,
) -> Result<Service> {
    let database = Database::create(server, name).await?;
    database.pool.execute(sqlx::raw_sql(include_str!("fill.sql"))).await?;
    sqlx::query("CALL fill($1, $2)")
        .bind(i64::from(ORGANIZATIONS))
        .bind(i64::try_from(invitations)?)
        .execute(&database.pool)
        .await?;
    database.prepare_reads(people).await?;
    database.pool.execute("VACUUM (ANALYZE)").await?;
    database.pool.execute("CHECKPOINT").await?;
    Service::start(database, dir, Arc::clone(people), smtp, &QUIET).await
}

/// Pages that the database has looked at so far, whether they were in memory or not. What the seed's own connection did
/// is among them.
pub async fn pages(database: &Database) -> Result<f64> {
    database.pool.execute("SELECT pg_stat_force_next_flush()").await?;
    let query = "SELECT (blks_hit + blks_read)::float8 FROM pg_stat_database WHERE datname = current_database()";
    Ok(sqlx::query_scalar(query).fetch_one(&database.pool).await?)
}

/// Waits until all that was done is counted.
pub async fn settle() {
    tokio::time::sleep(COUNTED_AFTER).await;
}
