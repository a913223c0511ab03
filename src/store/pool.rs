//! Connections to Postgres.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgPool};

/// What a pool is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Single statements, and looks in one snapshot that nobody can cancel.
    Read,
    /// The writers' and the accounts' transactions.
    Write,
    /// The outbox: a pool of its own, so that mail never waits for calls or they for mail.
    Mail,
}

/// Longer than any statement of ours takes, shorter than a call's deadline; in milliseconds.
const STATEMENT_TIMEOUT: &str = "3000";
const LOCK_TIMEOUT: &str = "2000";
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "10000";

/// Whether that is where a Postgres may be.
pub fn is_url(text: &str) -> bool {
    // sqlx takes any scheme
    let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    is_postgres && text.parse::<PgConnectOptions>().is_ok()
}

/// How often a connection is waited for at the start.
const WARM_TRIES: usize = 10;

/// A pool that connects when it is first used.
///
/// - Waiting for a connection ends after 1 s: past that the service is overloaded and says so. Nobody waits for mail, and
///   a worker that gives up leaves what it holds until the lease ends: there it is 10 s.
/// - No ping before use: it costs two thirds of a one-row query. A dead connection shows as UNAVAILABLE.
/// - Connections live 10 minutes: a pool never notices that its primary was demoted.
pub fn open(url: &str, purpose: Purpose, size: u32) -> Result<PgPool, sqlx::Error> {
    let mut options =
        url.parse::<PgConnectOptions>()?.application_name("invitations").disable_statement_logging().options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("lock_timeout", LOCK_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
        ]);
    if purpose == Purpose::Write {
        // UNNEST statements: with automatic plans Postgres plans batches of one anew each time, and plans made while
        // the tables were empty stay bad for minutes
        options = options.options([
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("enable_seqscan", "off"),
        ]);
    }
    let pool = PgPoolOptions::new()
        .max_connections(size)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(if purpose == Purpose::Mail { 10 } else { 1 }))
        .max_lifetime(Duration::from_mins(10))
        .idle_timeout(Duration::from_mins(5))
        .test_before_acquire(false);
    let pool = match purpose {
        Purpose::Read => pool,
        // a cancelled `Pool::begin` leaves a transaction open on a connection that looks idle, and a later acknowledged
        // write on it is never committed (transact-rs/sqlx#4393); ROLLBACK alone would put a warning into the server's
        // log at each release. Nor is a connection of use whose server was demoted: it would stay for 10 minutes
        Purpose::Write | Purpose::Mail => pool.after_release(|connection, _| {
            Box::pin(async move {
                let useless = "SELECT 1 WHERE now() <> statement_timestamp() \
                               OR current_setting('transaction_read_only')::bool";
                Ok(connection.fetch_optional(useless).await?.is_none())
            })
        }),
    };
    Ok(pool.connect_lazy_with(options))
}

/// Opens the first connection, so that the first call need not wait for it. At the start patience is right: a machine
/// that starts many things at once is slow for a moment.
pub async fn warm(pool: &PgPool) -> super::Result<()> {
    for _ in 1..WARM_TRIES {
        match pool.acquire().await {
            Err(sqlx::Error::PoolTimedOut) => {}
            acquired => return Ok(acquired.map(drop)?),
        }
    }
    Ok(pool.acquire().await.map(drop)?)
}

/// Whether Postgres answers and accepts writes.
pub async fn is_writable(pool: &PgPool) -> bool {
    let check = async {
        let mut connection = pool.acquire().await?;
        let row =
            sqlx::query_scalar!(r#"SELECT NOT pg_is_in_recovery() AS "writable!""#).fetch_one(&mut *connection).await;
        if row.is_err() {
            connection.detach().close_hard().await.ok();
        }
        row
    };
    check.await.unwrap_or(false)
}
