//! One connection, and whether it can still be used.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use tokio::time::{Instant, sleep, timeout};

use super::source::{MAX_LIFETIME, Purpose, Source};
use super::{Error, Result, route};

/// How long connecting may take: up to seven round trips, whatever a statement takes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// What was not asked for so long is asked before it is used: the server may have ended the session since, or have
/// become read-only. Before a transaction of one caller it is always asked, as nobody may repeat one that was begun.
const ASK_AFTER: Duration = Duration::from_secs(1);
/// How long the answer to that may take, and a goodbye. Whoever needs a connection makes another one then, and goes on
/// waiting for the answer meanwhile: where the machine is too busy to answer, connecting would take still longer.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct Live {
    pub connection: PgConnection,
    since: Instant,
    /// When it last was of use; `None`: nobody knows.
    asked: Option<Instant>,
}

impl Source {
    /// The connection of before, if it is of use, or another one.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`]: the server does not let us in, or not in time.
    pub async fn take(&self, old: Option<Live>) -> Result<Live> {
        let Some(mut live) = old else { return self.connect().await };
        if live.since.elapsed() >= MAX_LIFETIME {
            live.close().await;
            return self.connect().await;
        }
        let is_known = live.asked.is_some_and(|asked| asked.elapsed() < ASK_AFTER);
        if is_known && self.purpose != Purpose::Write {
            return Ok(live);
        }
        let another = async {
            sleep(ASK_TIMEOUT).await;
            self.connect().await
        };
        let is_of_use = tokio::select! {
            biased;
            is_of_use = live.answers() => is_of_use,
            another = another => return another,
        };
        if is_of_use {
            return Ok(live);
        }
        live.close().await;
        self.connect().await
    }

    async fn connect(&self) -> Result<Live> {
        let began = Instant::now();
        let connecting = async {
            loop {
                match route::connect(&self.options()?).await {
                    Err(error) if !self.is_pooled() && refuses_settings(&error) => {
                        self.leave_settings_out();
                        tracing::info!(
                            "a pooler in between refuses the settings of sessions: they are those of the role"
                        );
                    }
                    connected => return connected,
                }
            }
        };
        let connected = timeout(CONNECT_TIMEOUT, connecting).await;
        let connection = connected.map_err(|_| Error::Unavailable("no connection in time".to_owned()))??;
        let name = self.purpose.name();
        metrics::histogram!("db_client_connection_create_time_seconds", "db_client_connection_pool_name" => name)
            .record(began.elapsed());
        Ok(Live { connection, since: Instant::now(), asked: Some(Instant::now()) })
    }
}

/// As PgBouncer words it: it hands sessions on to others, and could not take such settings back. Postgres itself never
/// calls a parameter unsupported.
fn refuses_settings(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.message().starts_with("unsupported startup parameter"))
}

impl Live {
    /// Whether it answers, may write, and has no transaction open. One that may not write is of no use for reads
    /// either: it may be a server that was demoted, and knows nothing new. And a transaction that a caller was cancelled
    /// in the middle of looks like none (transact-rs/sqlx#4393): what is written next would never be committed.
    async fn answers(&mut self) -> bool {
        let useless = "SELECT 1 WHERE now() <> statement_timestamp() OR current_setting('transaction_read_only')::bool";
        let answer = self.connection.fetch_optional(useless).await;
        self.asked = Some(Instant::now());
        matches!(answer, Ok(None))
    }

    /// The same, in time.
    pub async fn is_of_use(&mut self) -> bool {
        timeout(ASK_TIMEOUT, self.answers()).await.unwrap_or(false)
    }

    /// Another one has broken: this one is asked before it is used again.
    pub fn doubt(&mut self) {
        self.asked = None;
    }

    /// Says goodbye to the server; one that is away holds nobody up.
    pub async fn close(self) {
        timeout(ASK_TIMEOUT, self.connection.close()).await.ok();
    }
}
