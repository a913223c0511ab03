//! A connection of one owner: no pool in between, so nothing is waited for and nothing is asked when it is given back.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, timeout};

use super::pool::{MAX_LIFETIME, Purpose, options};
use super::{Error, Result, route};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a transaction may take before a server that says nothing is given up. Its own limits are shorter.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that is made when it is first needed, and again after a break and after 10 minutes.
pub struct Own {
    options: PgConnectOptions,
    connection: Option<Live>,
}

struct Live {
    connection: PgConnection,
    since: Instant,
}

impl Own {
    pub fn new(url: &str, purpose: Purpose) -> std::result::Result<Self, sqlx::Error> {
        Ok(Self { options: options(url, purpose)?, connection: None })
    }

    /// Another one for the same purpose.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { options: self.options.clone(), connection: None }
    }

    /// Runs statements on it. It is taken out meanwhile: whoever is cancelled in the middle loses it, so nobody else
    /// finds a transaction or an answer that is not theirs.
    ///
    /// # Errors
    ///
    /// Those of the statements, and [`Error::Unavailable`] where there is no connection within 2 s or no answer within
    /// 10 s.
    pub async fn run<T>(&mut self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        let mut live = self.take().await?;
        let late = |_| Err(Error::Unavailable("no answer in time".to_owned()));
        let result = timeout(ANSWER_TIMEOUT, work(&mut live.connection)).await.unwrap_or_else(late);
        if !result.as_ref().is_err_and(Error::breaks_connection) {
            self.connection = Some(live);
        }
        result
    }

    /// Whether there is a connection, which may have broken since it was used.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    async fn take(&mut self) -> Result<Live> {
        match self.connection.take() {
            Some(live) if live.since.elapsed() < MAX_LIFETIME => Ok(live),
            old => {
                close(old).await;
                Ok(Live { connection: self.connect().await?, since: Instant::now() })
            }
        }
    }

    /// Says goodbye to the server.
    pub async fn close(&mut self) {
        close(self.connection.take()).await;
    }

    async fn connect(&self) -> Result<PgConnection> {
        let connecting = timeout(CONNECT_TIMEOUT, route::connect(&self.options)).await;
        Ok(connecting.map_err(|_| Error::Unavailable("no connection in time".to_owned()))??)
    }
}

async fn close(live: Option<Live>) {
    if let Some(Live { connection, .. }) = live {
        // a server that is away must not hold anybody up
        timeout(CONNECT_TIMEOUT, connection.close()).await.ok();
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("connected", &self.connection.is_some()).finish_non_exhaustive()
    }
}
