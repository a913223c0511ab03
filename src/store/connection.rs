//! A connection of one owner: no pool in between, so nothing is waited for and nothing is asked when it is given back.

use std::fmt;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use super::live::Live;
use super::source::{DatabaseUrl, Engine, Purpose, Source};
use super::{Error, Result};

/// How long a transaction may take before a server that says nothing is given up. Its own limits are shorter.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// A connection that is made when it is first needed, and again after a break and after 10 minutes.
pub struct Own {
    source: Source,
    connection: Option<Live>,
}

impl Own {
    pub fn new(url: impl Into<DatabaseUrl>, purpose: Purpose) -> std::result::Result<Self, sqlx::Error> {
        Ok(Self { source: Source::new(url.into(), purpose)?, connection: None })
    }

    /// Another one for the same purpose.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { source: self.source.clone(), connection: None }
    }

    /// Runs statements on it. It is taken out meanwhile: whoever is cancelled in the middle loses it, so nobody else
    /// finds a transaction or an answer that is not theirs.
    ///
    /// # Errors
    ///
    /// Those of the statements, and [`Error::Unavailable`] where there is no connection within 4 s or no answer within
    /// 15 s.
    pub async fn run<T>(&mut self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        let mut live = self.source.take(self.connection.take()).await?;
        let late = |_| Err(Error::Unavailable("no answer in time".to_owned()));
        let result = timeout(ANSWER_TIMEOUT, work(&mut live.connection)).await.unwrap_or_else(late);
        let is_usable = match &result {
            Ok(_) => true,
            Err(error) if error.breaks_connection() => false,
            // the driver rolls back with the next message: until then a transaction would keep its locks
            Err(_) => timeout(ANSWER_TIMEOUT, live.connection.ping()).await.is_ok_and(|answer| answer.is_ok()),
        };
        if is_usable {
            self.connection = Some(live);
        }
        result
    }

    pub fn engine(&self) -> Engine {
        self.source.engine()
    }

    /// Whether there is a connection, which may have broken since it was used.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Says goodbye to the server.
    pub async fn close(&mut self) {
        if let Some(live) = self.connection.take() {
            live.close().await;
        }
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("connected", &self.connection.is_some()).finish_non_exhaustive()
    }
}
