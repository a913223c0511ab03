//! How connections to Postgres are made, and pools of them.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Executor, PgConnection, PgPool};

use super::route;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Single statements that write nothing.
    Read,
    /// Transactions.
    Write,
    /// Counting what callers do. A crash of Postgres may forget the last half second of it, so no commit waits for the disk.
    Charge,
    /// The outbox.
    Mail,
}

/// Connections are made anew after this time: nobody else notices that a primary was demoted.
pub const MAX_LIFETIME: Duration = Duration::from_mins(10);

/// How every statement is planned: once for each connection, and the same way whatever the statistics say. Plans made
/// for the values of each call cost more than most statements take. Plans made while the tables were empty stay in use
/// until the tables are analyzed, so the statements leave no choice but the index of the key (`tests/it/plans.rs`).
/// What a plan is thought to cost is far off then, so nothing is compiled because of it.
pub const PLANNING: [(&str, &str); 5] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_seqscan", "off"),
    ("jit", "off"),
];

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

/// How a connection is made.
pub(super) fn options(url: &str, purpose: Purpose) -> Result<PgConnectOptions, sqlx::Error> {
    let name = match purpose {
        Purpose::Read => "invitations read",
        Purpose::Write => "invitations write",
        Purpose::Charge => "invitations charge",
        Purpose::Mail => "invitations mail",
    };
    let options = url.parse::<PgConnectOptions>()?.application_name(name).disable_statement_logging();
    let options = options.options(PLANNING).options([
        ("statement_timeout", STATEMENT_TIMEOUT),
        ("lock_timeout", LOCK_TIMEOUT),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
    ]);
    Ok(match purpose {
        Purpose::Charge => options.options([("synchronous_commit", "off")]),
        Purpose::Read | Purpose::Write | Purpose::Mail => options,
    })
}

/// A pool that connects when it is first used, for calls that are too rare or too long for a connection of their own.
///
/// - Waiting for a connection ends after 1 s: past that the service is overloaded and says so.
/// - No ping before use: it costs two thirds of a one-row query. A dead connection shows as UNAVAILABLE.
pub fn open(url: &str, purpose: Purpose, size: u32) -> Result<PgPool, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(size)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(1))
        .max_lifetime(MAX_LIFETIME)
        .idle_timeout(Duration::from_mins(5))
        .test_before_acquire(false);
    let pool = match purpose {
        Purpose::Read => pool,
        // a cancelled `Pool::begin` leaves a transaction open on a connection that looks idle, and a later acknowledged
        // write on it is never committed (transact-rs/sqlx#4393); ROLLBACK alone would put a warning into the server's
        // log at each release. Nor is a connection of use whose server was demoted: it would stay for 10 minutes
        Purpose::Write | Purpose::Charge | Purpose::Mail => pool.after_release(|connection, _| {
            Box::pin(async move {
                let useless = "SELECT 1 WHERE now() <> statement_timestamp() \
                               OR current_setting('transaction_read_only')::bool";
                Ok(connection.fetch_optional(useless).await?.is_none())
            })
        }),
    };
    Ok(pool.connect_lazy_with(options(url, purpose)?))
}

/// Opens the first connection, so that the first call need not wait for it. At the start patience is right: a machine
/// that starts many things at once is slow for a moment.
pub async fn warm(pool: &PgPool) -> super::Result<()> {
    route::lead(pool).await;
    for _ in 1..WARM_TRIES {
        match pool.acquire().await {
            Err(sqlx::Error::PoolTimedOut) => {}
            acquired => return Ok(acquired.map(drop)?),
        }
    }
    Ok(pool.acquire().await.map(drop)?)
}

/// Whether Postgres accepts writes.
pub async fn is_writable(connection: &mut PgConnection) -> super::Result<bool> {
    let writable = sqlx::query_scalar!(r#"SELECT NOT pg_is_in_recovery() AS "writable!""#);
    Ok(writable.fetch_one(connection).await?)
}
