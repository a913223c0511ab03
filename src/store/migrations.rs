//! The schema: forward only, one statement per file, each working with the release before.

use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use super::owner;

/// Between two tries to get a lock, others go first.
const PAUSE: Duration = Duration::from_secs(1);
/// How long locks are tried for; the chart's Job has 240 s for everything.
const TRY_FOR: Duration = Duration::from_mins(3);

/// The migrations of this binary. Those of a later release are none of its business: after a rollback its job must run.
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!();
    migrator.set_ignore_missing(true);
    migrator
}

/// Why the schema is not up to date.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Any other encoding lacks characters of names, or counts and compares bytes.
    #[error(
        "the database has the encoding {0} and needs UTF8: create another one with CREATE DATABASE … ENCODING 'UTF8' \
         TEMPLATE template0, and migrate that"
    )]
    Encoding(String),
    #[error("migration {0:04}: {1}")]
    Migration(i64, owner::Error),
    #[error(
        "other sessions hold locks for longer than {} s: end the oldest transactions in pg_stat_activity, or another \
         `migrate`, and run it again",
        TRY_FOR.as_secs()
    )]
    Locked,
    #[error(transparent)]
    Migrations(MigrateError),
    #[error(transparent)]
    Database(#[from] owner::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::ExecuteMigration(cause, version) => Self::Migration(version, cause.into()),
            MigrateError::Execute(cause) => cause.into(),
            other => Self::Migrations(other),
        }
    }
}

/// Brings the schema up to date, and returns what it applied.
pub async fn run(url: &str) -> Result<Vec<String>, Error> {
    apply(&migrator(), url).await
}

/// Takes a session lock, so it needs a direct connection; any number may run at once.
///
/// A statement waits at most a second for a lock, for whoever wants the table meanwhile waits behind it: behind a backup
/// that reads for an hour, all calls would wait for that hour. It gives way to them, and tries again.
pub async fn apply(migrator: &Migrator, url: &str) -> Result<Vec<String>, Error> {
    let began = Instant::now();
    let mut connection = owner::connect(url).await?;
    let encoding: String = sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut connection).await?;
    if encoding != "UTF8" {
        return Err(Error::Encoding(encoding));
    }
    sqlx::query("SET lock_timeout = '1s'").execute(&mut connection).await?;
    let (mut before, mut waits) = (None, false);
    while let Err(error) = attempt(migrator, &mut connection, &mut before).await {
        if !is_lock_timeout(&error) {
            return Err(error.into());
        }
        if began.elapsed() > TRY_FOR {
            return Err(Error::Locked);
        }
        if !std::mem::replace(&mut waits, true) {
            tracing::warn!(for_at_most_s = TRY_FOR.as_secs(), "another session holds a lock: tried again every 2 s");
        }
        sleep(PAUSE).await;
    }
    connection.close().await?;
    let before = before.unwrap_or_default();
    let new = migrator.iter().filter(|migration| !before.contains(&migration.version));
    Ok(new.map(|migration| format!("{:04} {}", migration.version, migration.description)).collect())
}

/// Applies what is missing, with the lock from before it looks: another one may do the same.
async fn attempt(
    migrator: &Migrator,
    connection: &mut PgConnection,
    before: &mut Option<Vec<i64>>,
) -> Result<(), MigrateError> {
    connection.lock().await?;
    if before.is_none() {
        *before = Some(applied(connection).await.unwrap_or_default());
    }
    migrator.run_direct(None, connection, false).await
}

fn is_lock_timeout(error: &MigrateError) -> bool {
    let (MigrateError::ExecuteMigration(cause, _) | MigrateError::Execute(cause)) = error else { return false };
    cause.as_database_error().and_then(DatabaseError::code).as_deref() == Some("55P03")
}

/// How many of this binary's migrations the database lacks. A newer schema is fine: migrations work with the release
/// before.
pub async fn missing(connection: &mut PgConnection) -> super::Result<usize> {
    let known = migrator().iter().count();
    match applied(connection).await {
        Ok(applied) => Ok(known.saturating_sub(applied.len())),
        // no such table: nothing has run yet
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => Ok(known),
        Err(error) => Err(error.into()),
    }
}

/// Of this binary's migrations.
async fn applied(connection: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    let mut versions: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success").fetch_all(connection).await?;
    let migrator = migrator();
    versions.retain(|version| migrator.iter().any(|migration| migration.version == *version));
    Ok(versions)
}
