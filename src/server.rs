//! The service from its settings to its last connection: what `serve`, `dev` and the tests start alike.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, Connections, Limits, Sweeper};
use crate::config::Settings;
use crate::domain::{Deployment, Timestamp};
use crate::grpc::serve::serve;
use crate::grpc::{Api, ServeSettings};
use crate::mail;
use crate::scrape::Scrape;
use crate::store::connection::Own;
use crate::store::key_checks::{self, Changed};
use crate::store::pool::{self, Pool, Purpose};
use crate::store::{self, migrations, roles};

/// Streams that ask for no token (Watch of health, reflection).
const MAX_OPEN_STREAMS: usize = 200;
/// How long a new connection may take for the TLS handshake, if there is one, and to send the HTTP/2 preface.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to look whether the TLS files have changed.
const TLS_RELOAD_INTERVAL: Duration = Duration::from_secs(10);
/// How long what was accepted may take to be finished at the end.
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
}

/// A service that answers calls.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    serving: tokio::task::JoinHandle<io::Result<()>>,
    tasks: TaskTracker,
    pools: Vec<Pool>,
}

impl Server {
    /// Checks the schema, binds, and starts everything. Health says SERVING when calls can be carried out.
    pub async fn start(settings: &Settings, stop: &CancellationToken) -> Result<Self, StartError> {
        let url = settings.database.url();
        let connections = Connections::open(url.clone(), settings.database_connections);
        let connections = connections.map_err(|_| StartError::DatabaseUrl)?;
        let mails = Own::new(url, Purpose::Mail).map_err(|_| StartError::DatabaseUrl)?;
        let (reads, writes) = (connections.reads.clone(), connections.writes.clone());
        for pool in [&reads, &writes] {
            pool::warm(pool).await.map_err(StartError::Database)?;
        }
        let key_ages = check_database(&writes, settings).await?;

        let verifier = settings.verifier().map_err(StartError::Settings)?;
        let deployment = Deployment {
            code_keys: settings.tenancy.code_keys.clone().with_ages(key_ages),
            address_key: settings.tenancy.address_key.clone(),
            reserved_names: settings.tenancy.reserved_names.clone(),
            accounts_create_organizations: settings.tenancy.accounts_create_organizations,
            resend_interval: settings.throttles.resend_interval_seconds.try_into().unwrap_or(time::Duration::MINUTE),
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
        };
        let mailer = settings.mailer().map_err(|invalid| StartError::Settings(invalid.into()))?;
        let mailer = Arc::new(mailer.with_services(deployment.services.clone()));
        let listener = TcpListener::bind(settings.calls.listen).await.map_err(StartError::Listen)?;
        let address = listener.local_addr().map_err(StartError::Listen)?;

        let scrape = match settings.calls.metrics_listen {
            Some(address) => Some(Scrape::bind(address).await.map_err(StartError::Metrics)?),
            None => None,
        };
        let metrics_address = scrape.as_ref().and_then(|scrape| scrape.address().ok());
        if let Some(scrape) = scrape {
            tokio::spawn(scrape.serve(stop.clone()));
        }

        let tasks = TaskTracker::new();
        let committed = Arc::new(Notify::new());
        let app = App::start(connections, deployment, limits, tasks.clone(), &committed);
        if settings.mail.mail_paused {
            tracing::warn!(setting = "mail_paused", "no email is sent: what is due waits");
        } else {
            tasks.spawn(mail::run(mails, mailer, committed, stop.clone()));
        }
        let sweeper = Sweeper { app: app.clone(), interval: settings.throttles.sweep_interval_seconds };
        tasks.spawn(sweeper.run(stop.clone()));
        tasks.spawn(app.clone().report_keys(stop.clone()));
        let verifier = Arc::new(verifier);
        let (issuers, stopped) = (Arc::clone(&verifier), stop.clone());
        tasks.spawn(async move {
            stopped.run_until_cancelled(issuers.follow()).await;
        });
        let routes = Api::new(app.clone(), verifier).routes();
        let is_ready = async move || app.is_ready().await;
        let serve_settings = serve_settings(settings).map_err(StartError::Settings)?;
        let serving = tokio::spawn(serve(listener, routes, serve_settings, is_ready, stop.clone()));
        Ok(Self { address, metrics_address, serving, tasks, pools: vec![reads, writes] })
    }

    /// Where it listens; with port 0 in the settings, the port that was free.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics are served, if they are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Ends when the service was told to stop, its calls have ended and what they asked for is done.
    pub async fn finished(self) -> io::Result<()> {
        let served = self.serving.await.map_err(io::Error::other)?;
        self.tasks.close();
        if tokio::time::timeout(FINISH_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("stopped before everything was finished");
        }
        for pool in self.pools {
            pool.close().await;
        }
        served
    }
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
    key_checks::ages(&mut connection).await.map_err(StartError::Database)
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
