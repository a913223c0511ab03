//! The service from its settings to its last connection: what `serve`, `dev` and the tests start alike.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Connections, Limits, Retention, Sweeper};
use crate::config::Settings;
use crate::domain::{Deployment, Timestamp};
use crate::grpc::serve::{CUT_TIMEOUT, serve};
use crate::grpc::{Api, Door, ServeSettings, Shares, WatchSettings, Watches};
use crate::mail;
use crate::scrape::Scrape;
use crate::store::connection::Own;
use crate::store::key_checks::{self, Changed};
use crate::store::pool::{self, Engine, Pool, Purpose};
use crate::store::{self, migrations, pruning, roles};
use crate::tasks::Tasks;

/// Streams that ask for no token (Watch of health, reflection).
const MAX_OPEN_STREAMS: usize = 200;
/// How long a new connection may take for the TLS handshake, if there is one, and to send the HTTP/2 preface.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to look whether the TLS files have changed.
const TLS_RELOAD_INTERVAL: Duration = Duration::from_secs(10);
/// How long the look at the schema and the keys may take.
const CHECK_WITHIN: Duration = Duration::from_secs(10);
/// How long everything may take at the end that is not a call: what calls have begun, emails that are being sent, and the
/// goodbyes to Postgres.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// Why the service does not start; the text is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("setting database_url (INVITATIONS_DATABASE_URL): is not a Postgres URL")]
    DatabaseUrl,
    #[error("the database cannot be reached: {0}")]
    Database(store::Error),
    #[error("the database lacks {0} migrations: run `invitations migrate`")]
    Schema(usize),
    #[error(
        "setting code_keys_file (INVITATIONS_CODE_KEYS_FILE): the key {0:?} is another secret than this database knows by \
         that id: put the old one back, or give the new one an id of its own"
    )]
    CodeKey(String),
    #[error(
        "setting address_key_file (INVITATIONS_ADDRESS_KEY_FILE): it is another key than the one of this database, whose \
         suppressions would be void: put the old one back"
    )]
    AddressKey,
    #[error(transparent)]
    Settings(crate::config::Error),
    #[error("setting listen (INVITATIONS_LISTEN): {0}")]
    Listen(io::Error),
    #[error("setting metrics_listen (INVITATIONS_METRICS_LISTEN): {0}")]
    Metrics(io::Error),
    #[error(transparent)]
    Serve(io::Error),
}

/// Why the service ends without having been told to: a task of that name has ended.
#[derive(Debug, thiserror::Error)]
#[error("the service cannot go on: its task {0:?} has ended, see the log")]
pub struct TaskEnded(&'static str);

/// A service that answers calls.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    serving: JoinHandle<()>,
    tasks: Tasks,
    stop: CancellationToken,
    end_within: Duration,
    pools: Vec<Pool>,
}

impl Server {
    /// Checks the schema, binds, and starts everything. Health says SERVING when calls can be carried out.
    pub async fn start(settings: &Settings, stop: &CancellationToken) -> Result<Self, StartError> {
        let url = settings.database.url();
        let connections = Connections::open(url.clone(), settings.database_connections, settings.writers);
        let connections = connections.map_err(|_| StartError::DatabaseUrl)?;
        let mails = Own::new(url, Purpose::Mail).map_err(|_| StartError::DatabaseUrl)?;
        let (reads, writes) = (connections.reads.clone(), connections.writes.clone());
        for pool in [&reads, &writes] {
            pool::warm(pool).await.map_err(StartError::Database)?;
        }
        let key_ages = in_time(check_database(&writes, settings)).await?;
        let retention = in_time(retention(&writes, settings)).await?;

        let verifier = settings.verifier().map_err(StartError::Settings)?;
        let deployment = Deployment {
            code_keys: settings.tenancy.code_keys.clone().with_ages(key_ages),
            address_key: settings.tenancy.address_key.clone(),
            reserved_names: settings.tenancy.reserved_names.clone(),
            accounts_create_organizations: settings.tenancy.accounts_create_organizations,
            max_attestation_age: settings.throttles.max_attestation_age_days.try_into().unwrap_or(time::Duration::WEEK),
            asks_for_proof: settings.throttles.unverified_notifications_limit.is_some(),
            resend_interval: settings.throttles.resend_interval_seconds.try_into().unwrap_or(time::Duration::MINUTE),
            resends_limit: settings.throttles.resends_per_invitation_limit,
            open_invitations_limit: settings.throttles.open_invitations_limit,
            daily_invitations_limit: settings.throttles.invitations_per_organization_limit,
            services: verifier.services().cloned().collect(),
        };
        let limits = Limits {
            wrong_codes: settings.throttles.wrong_codes_limit,
            wrong_accounts: settings.throttles.wrong_accounts_limit,
            invitations: settings.throttles.invitations_per_caller_limit,
            organizations: settings.throttles.organizations_per_identity_limit,
            account_attempts: settings.throttles.account_attempts_per_identity_limit,
            protection_changes: settings.throttles.protection_changes_per_caller_limit,
            changes: settings.throttles.changes_per_subject_limit,
        };
        let serve_settings = serve_settings(settings).map_err(StartError::Settings)?;
        let mailer = settings.mailer().map_err(|invalid| StartError::Settings(invalid.into()))?;
        let mailer = Arc::new(mailer.with_services(deployment.services.clone()));
        let listener = TcpListener::bind(settings.calls.listen).await.map_err(StartError::Listen)?;
        let address = listener.local_addr().map_err(StartError::Listen)?;

        let scrape = match settings.calls.metrics_listen {
            Some(address) => Some(Scrape::bind(address).await.map_err(StartError::Metrics)?),
            None => None,
        };
        let metrics_address = scrape.as_ref().and_then(|scrape| scrape.address().ok());
        // cancelled as well where a task fails
        let stop = stop.child_token();
        let tasks = Tasks::new(stop.clone());
        let is_measured = scrape.is_some();
        if let Some(scrape) = scrape {
            tasks.watch("metrics", scrape.serve(stop.clone()));
        }
        let committed = Arc::new(Notify::new());
        let app = App::start(connections, deployment, limits, tasks.clone(), &committed);
        if settings.mail.mail_paused {
            tracing::warn!(setting = "mail_paused", "no email is sent: what is due waits");
        } else {
            tasks.watch("mail", mail::run(mails, mailer, committed, stop.clone()));
        }
        let sweeper = Sweeper { app: app.clone(), interval: settings.throttles.sweep_interval_seconds, retention };
        tasks.watch("sweep", sweeper.run(stop.clone()));
        if is_measured {
            tasks.watch("figures", app.clone().measure(stop.clone()));
        }
        tasks.watch("key reports", app.clone().report_keys(stop.clone()));
        let verifier = Arc::new(verifier);
        let (issuers, stopped) = (Arc::clone(&verifier), stop.clone());
        tasks.watch("issuer keys", async move {
            stopped.run_until_cancelled(issuers.follow()).await;
        });
        let shares = Shares::new(settings.calls.max_calls, settings.calls.max_calls_per_caller);
        let door = Door::new(Arc::clone(&verifier), shares.clone());
        let watches = Watches::new(watch_settings(settings));
        let routes = Api::new(app.clone(), verifier, shares, watches.clone()).routes();
        let is_ready = move || {
            let app = app.clone();
            async move { app.is_ready().await }
        };
        let serving = serve(listener, door, routes, watches, &serve_settings, is_ready, &tasks);
        let serving = serving.inspect_err(|_| stop.cancel()).map_err(StartError::Serve)?;
        let (end_within, pools) = (end_within(settings), vec![reads, writes]);
        Ok(Self { address, metrics_address, serving, tasks, stop, end_within, pools })
    }

    /// Where it listens; with port 0 in the settings, the port that was free.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics are served, if they are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Ends as soon as a task has ended that the service cannot do without.
    pub async fn failed(&self) -> TaskEnded {
        TaskEnded(self.tasks.failed().await)
    }

    /// What runs beside the calls: for tests that end some of it.
    #[doc(hidden)]
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Ends when the service was told to stop, its calls have ended and what they asked for is done, and no later than
    /// [`end_within`] after that, whatever is away.
    ///
    /// # Errors
    ///
    /// A task has ended that the service cannot do without. Nothing is waited for then: another process does better.
    pub async fn finished(mut self) -> Result<(), TaskEnded> {
        let stopped = async {
            self.stop.cancelled().await;
            tracing::info!(within_s = self.end_within.as_secs(), "stopping");
            (&mut self.serving).await.ok();
            let finish = async {
                self.tasks.end().await;
                join_all(self.pools.iter().map(Pool::close)).await;
            };
            if timeout(FINISH_WITHIN, finish).await.is_err() {
                let mut cut_off = self.tasks.running();
                if cut_off.is_empty() {
                    cut_off.push("goodbyes to Postgres".to_owned());
                }
                let cut_off = cut_off.join(", ");
                tracing::warn!(cut_off, "stopped before this was finished, other processes go on with it");
            }
        };
        tokio::select! {
            biased;
            task = self.tasks.failed() => {
                self.stop.cancel();
                Err(TaskEnded(task))
            }
            () = stopped => Ok(()),
        }
    }
}

/// How long the service may take to end after it was told to.
pub fn end_within(settings: &Settings) -> Duration {
    settings.calls.endpoint_delay_seconds + settings.calls.drain_timeout_seconds + CUT_TIMEOUT + FINISH_WITHIN
}

/// A check of a database that may say nothing.
async fn in_time<T>(check: impl Future<Output = Result<T, StartError>>) -> Result<T, StartError> {
    let late = |_| Err(StartError::Database(store::Error::Unavailable("no answer in time".to_owned())));
    timeout(CHECK_WITHIN, check).await.unwrap_or_else(late)
}

/// Whether the schema and the keys are those of this database; since when it knows each code key.
async fn check_database(pool: &Pool, settings: &Settings) -> Result<HashMap<String, Timestamp>, StartError> {
    let mut connection = pool.acquire().await.map_err(StartError::Database)?;
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

fn watch_settings(settings: &Settings) -> WatchSettings {
    let calls = &settings.calls;
    WatchSettings {
        max: calls.max_watches,
        max_per_caller: calls.max_watches_per_caller,
        // the other half is for calls
        max_per_connection: usize::try_from(calls.max_concurrent_streams / 2).unwrap_or(usize::MAX).max(1),
        max_age: calls.watch_age_seconds,
        checkpoint: calls.watch_checkpoint_seconds,
    }
}

fn serve_settings(settings: &Settings) -> Result<ServeSettings, crate::config::Error> {
    let calls = &settings.calls;
    Ok(ServeSettings {
        max_connections: calls.max_connections,
        max_concurrent_streams: calls.max_concurrent_streams,
        max_open_streams: MAX_OPEN_STREAMS,
        max_arriving_requests: calls.max_arriving_requests,
        max_untaken_answers: calls.max_untaken_answers,
        max_connection_age: calls.connection_age_seconds,
        default_deadline: calls.default_deadline_seconds,
        max_deadline: calls.max_deadline_seconds,
        first_byte_timeout: FIRST_BYTE_TIMEOUT,
        endpoint_delay: calls.endpoint_delay_seconds,
        drain_timeout: calls.drain_timeout_seconds,
        reflection: calls.reflection,
        tls: settings.tls_files()?,
        tls_reload_interval: TLS_RELOAD_INTERVAL,
    })
}
