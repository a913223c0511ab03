//! Connections of the commands that an operator runs, such as `migrate`: as the owner of the tables, for a short while.

use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::time::timeout;

use super::{route, source};

/// How long a command tries to connect: a firewall may swallow what is sent.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// Why a command cannot do its work, in the words of Postgres where it has said any: the operator is told, nobody else.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the database cannot be reached: {0}")]
    Away(String),
    #[error("no connection to the database within {} s", CONNECT_WITHIN.as_secs())]
    Silent,
    /// Without the line of Postgres' own source, which the driver adds.
    #[error("the database says: {0} (SQLSTATE {1})")]
    Said(String, String),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let said = error.as_database_error().map(|error| {
            let code = error.code().unwrap_or_default().into_owned();
            Self::Said(error.message().to_owned(), code)
        });
        match (super::Error::from(error), said) {
            (super::Error::Unavailable(why), _) => Self::Away(why),
            (_, Some(said)) => said,
            (other, None) => Self::Away(other.to_string()),
        }
    }
}

/// Host and port of that URL.
pub fn place(url: &str) -> String {
    url.parse().map(|options| source::place(&options)).unwrap_or_default()
}

/// # Errors
///
/// It is no URL of Postgres, nobody lets us in, or nobody answers within [`CONNECT_WITHIN`].
pub async fn connect(url: &str) -> Result<PgConnection, Error> {
    let options = url.parse::<PgConnectOptions>()?;
    Ok(timeout(CONNECT_WITHIN, route::connect(&options)).await.map_err(|_| Error::Silent)??)
}
