//! The schema: forward only, one statement per file, each working with the release before.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection, PgConnection};

use super::owner;

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

/// Brings the schema up to date, and returns what it applied. Takes a session lock, so it needs a direct connection and
/// runs as one job.
pub async fn run(url: &str) -> Result<Vec<String>, Error> {
    let mut connection = owner::connect(url).await?;
    let encoding: String = sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut connection).await?;
    if encoding != "UTF8" {
        return Err(Error::Encoding(encoding));
    }
    let before = applied(&mut connection).await.unwrap_or_default();
    let migrator = migrator();
    migrator.run_direct(None, &mut connection, false).await?;
    connection.close().await?;
    let new = migrator.iter().filter(|migration| !before.contains(&migration.version));
    Ok(new.map(|migration| format!("{:04} {}", migration.version, migration.description)).collect())
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
