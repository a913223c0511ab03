//! The schema: forward only, one statement per file, each working with the release before.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use super::route;

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
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("the database cannot be reached: {0}")]
    Database(super::Error),
}

/// Postgres and the driver quote names and parameters of the URL.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Brings the schema up to date. Takes a session lock, so it needs a direct connection and runs as one job.
pub async fn run(url: &str) -> Result<usize, Error> {
    let mut connection = route::connect(&url.parse::<PgConnectOptions>()?).await?;
    let encoding: String = sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut connection).await?;
    if encoding != "UTF8" {
        return Err(Error::Encoding(encoding));
    }
    let before = applied(&mut connection).await.unwrap_or_default();
    migrator().run_direct(None, &mut connection, false).await?;
    let after = applied(&mut connection).await.unwrap_or_default();
    connection.close().await?;
    Ok(after.saturating_sub(before))
}

/// How many of this binary's migrations the database lacks. A newer schema is fine: migrations work with the release
/// before.
pub async fn missing(connection: &mut PgConnection) -> super::Result<usize> {
    let known = migrator().iter().count();
    match applied(connection).await {
        Ok(applied) => Ok(known.saturating_sub(applied)),
        // no such table: nothing has run yet
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => Ok(known),
        Err(error) => Err(error.into()),
    }
}

async fn applied(connection: &mut PgConnection) -> Result<usize, sqlx::Error> {
    let versions: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success").fetch_all(connection).await?;
    Ok(migrator().iter().filter(|migration| versions.contains(&migration.version)).count())
}
