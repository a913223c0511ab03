//! What has to be so of the database before calls are answered.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::start_error::StartError;
use crate::app::Retention;
use crate::config::Settings;
use crate::domain::Timestamp;
use crate::store::key_checks::{self, Changed};
use crate::store::pool::{Engine, Pool};
use crate::store::{self, migrations, pruning, roles};

/// How long the look at the schema and the keys may take, and the one at what is kept.
const CHECK_WITHIN: Duration = Duration::from_secs(10);
/// Between two tries, in milliseconds: replicas that have begun together do not come together.
const PAUSE_MS: std::ops::Range<u64> = 500..1500;
/// How often the log says that it is waited for.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// What is known of a database that fits.
pub(super) struct Known {
    /// Since when it knows each code key.
    pub key_ages: HashMap<String, Timestamp>,
    pub retention: Retention,
}

/// Waits until the database answers, however long, and checks it: a process that ends is begun anew, later each time.
/// The first call need not wait for a connection.
///
/// # Errors
///
/// The database is not the one that these settings are for, or lacks migrations.
pub(super) async fn wait(reads: &Pool, writes: &Pool, settings: &Settings) -> Result<Known, StartError> {
    let mut said = None::<Instant>;
    loop {
        let why = match look(reads, writes, settings).await {
            Err(StartError::Database(store::Error::Unavailable(why))) => why,
            other => return other,
        };
        // also where the password is refused or there is no such database: both may be mended meanwhile
        if said.is_none_or(|said| said.elapsed() > SAY_EVERY) {
            said = Some(Instant::now());
            tracing::warn!(database = writes.place(), why, "waiting for the database");
        }
        sleep(Duration::from_millis(rand::random_range(PAUSE_MS))).await;
    }
}

async fn look(reads: &Pool, writes: &Pool, settings: &Settings) -> Result<Known, StartError> {
    for pool in [reads, writes] {
        pool.acquire().await.map_err(StartError::Database)?;
    }
    let key_ages = in_time(check(writes, settings)).await?;
    Ok(Known { key_ages, retention: in_time(retention(writes, settings)).await? })
}

/// A check of a database that may say nothing.
async fn in_time<T>(check: impl Future<Output = Result<T, StartError>>) -> Result<T, StartError> {
    let late = |_| Err(StartError::Database(store::Error::Unavailable("no answer in time".to_owned())));
    timeout(CHECK_WITHIN, check).await.unwrap_or_else(late)
}

/// Whether the schema and the keys are those of this database; since when it knows each code key.
async fn check(pool: &Pool, settings: &Settings) -> Result<HashMap<String, Timestamp>, StartError> {
    let mut connection = pool.acquire().await.map_err(StartError::Database)?;
    if pool.is_pooled() {
        let missing = roles::missing_settings(&mut *connection, pool.engine()).await.map_err(StartError::Database)?;
        if !missing.is_empty() {
            tracing::warn!(
                setting = "database_service_role",
                missing = missing.join(", "),
                "the role of this service lacks settings that a pooler keeps from its sessions: run `invitations migrate` \
                 with this setting, see docs/operations.md"
            );
        }
    }
    let missing = migrations::missing(&mut connection).await.map_err(StartError::Database)?;
    if missing > 0 {
        return Err(StartError::Schema(missing));
    }
    let (code_keys, address_key) = (&settings.tenancy.code_keys, &settings.tenancy.address_key);
    match key_checks::changed(&mut connection, code_keys, address_key).await.map_err(StartError::Database)? {
        Some(Changed::CodeKey(id)) => return Err(StartError::CodeKey(id)),
        Some(Changed::AddressKey) => return Err(StartError::AddressKey),
        None => {}
    }
    if roles::may_change_events(&mut *connection).await.map_err(StartError::Database)? {
        tracing::warn!(
            setting = "database_service_role",
            "the database role of this service may change and delete events: give it one of its own, see the setting"
        );
    }
    if pool.engine() == Engine::Distributed {
        let missing = roles::missing_timeouts(&mut *connection).await.map_err(StartError::Database)?.join(", ");
        if !missing.is_empty() {
            tracing::warn!(
                setting = "database_distributed",
                missing,
                "the role of this service has no such timeouts, so the nodes may wait for ever: see docs/distributed.md"
            );
        }
    }
    key_checks::ages(&mut connection).await.map_err(StartError::Database)
}

/// How long things are kept. Events go only where `migrate` has allowed it.
async fn retention(pool: &Pool, settings: &Settings) -> Result<Retention, StartError> {
    let kept = &settings.retention;
    let mut events = kept.events_retention_days;
    if events.is_some() {
        let mut connection = pool.acquire().await.map_err(StartError::Database)?;
        if !pruning::is_allowed(&mut *connection).await.map_err(StartError::Database)? {
            let setting = "events_retention_days";
            tracing::warn!(
                setting,
                "the database role may delete no event: run `invitations migrate` with this setting"
            );
            events = None;
        }
    }
    Ok(Retention {
        emails: kept.emails_retention_days,
        addresses: kept.invitation_addresses_retention_days,
        invitations: kept.invitations_retention_days,
        events,
        erasure_delay: kept.erasure_delay_days,
    })
}
