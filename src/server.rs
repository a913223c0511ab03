//! The service from its settings to its last connection: what `serve`, `dev` and the tests start alike.

mod database;
mod start_error;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::admin::Admin;
use crate::app::{App, Connections, Limits, Sweeper};
use crate::config::{self, Settings};
use crate::domain::Deployment;
use crate::grpc::health::Health;
use crate::grpc::serve::{CUT_TIMEOUT, serve};
use crate::grpc::{Api, Door, ServeSettings, Shares, WatchSettings, Watches};
use crate::mail;
use crate::store::connection::Own;
use crate::store::pool::{Pool, Purpose};
use crate::tasks::Tasks;
use crate::traces::Traces;
use database::Known;
pub use start_error::StartError;

/// Streams that ask for no token (Watch of health, reflection).
const MAX_OPEN_STREAMS: usize = 200;
/// How long a new connection may take for the TLS handshake, if there is one, and to send the HTTP/2 preface.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to look whether the TLS files have changed.
const TLS_RELOAD_INTERVAL: Duration = Duration::from_secs(10);
/// How long everything may take at the end that is not a call: what calls have begun, emails that are being sent, and the
/// goodbyes to Postgres.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// Why the service ends without having been told to: a task of that name has ended.
#[derive(Debug, thiserror::Error)]
#[error("the service cannot go on: its task {0:?} has ended, see the log")]
pub struct TaskEnded(&'static str);

/// A service that answers calls.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    /// The admin port answers until this is dropped.
    admin: DropGuard,
    serving: JoinHandle<()>,
    tasks: Tasks,
    stop: CancellationToken,
    end_within: Duration,
    pools: Vec<Pool>,
    traces: Option<Traces>,
}

impl Server {
    /// Binds the admin port, waits for the database, checks its schema, binds, and starts everything. Health says SERVING
    /// when calls can be carried out.
    pub async fn start(settings: &Settings, stop: &CancellationToken) -> Result<Self, StartError> {
        let ended = CancellationToken::new();
        let admin = ended.clone().drop_guard();
        // cancelled as well where a task fails, and where the start does
        let stop = stop.child_token();
        let unless_started = stop.clone().drop_guard();
        let tasks = Tasks::new(stop.clone());
        let health = Health::new(CancellationToken::new());
        let admin_address = match settings.calls.admin_listen {
            Some(address) => {
                let admin = Admin::bind(address, &health).await.map_err(StartError::Admin)?;
                let address = admin.address().map_err(StartError::Admin)?;
                tasks.watch("admin port", admin.serve(ended));
                Some(address)
            }
            None => None,
        };

        let config::Traces { otlp_endpoint, otlp_sample_ratio } = &settings.traces;
        let traces = otlp_endpoint.as_deref().map(|collector| Traces::start(collector, *otlp_sample_ratio));
        let traces = traces.transpose().map_err(StartError::Collector)?;

        let url = settings.database.url();
        let connections = Connections::open(url.clone(), settings.database_connections, settings.writers);
        let connections = connections.map_err(|_| StartError::DatabaseUrl)?;
        let mails = Own::new(url, Purpose::Mail).map_err(|_| StartError::DatabaseUrl)?;
        let (reads, writes) = (connections.reads.clone(), connections.writes.clone());
        let Known { key_ages, retention } = Box::pin(database::wait(&reads, &writes, settings)).await?;

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

        let committed = Arc::new(Notify::new());
        let app = App::start(connections, deployment, limits, tasks.clone(), &committed);
        if settings.mail.mail_paused {
            tracing::warn!(setting = "mail_paused", "no email is sent: what is due waits");
        } else {
            tasks.watch("mail", mail::run(mails, mailer, committed, stop.clone()));
        }
        let sweeper = Sweeper { app: app.clone(), interval: settings.throttles.sweep_interval_seconds, retention };
        tasks.watch("sweep", sweeper.run(stop.clone()));
        if admin_address.is_some() {
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
        tasks.watch("readiness", health.clone().follow_until(stop.clone(), is_ready));
        let serving = serve(listener, door, routes, watches, &serve_settings, health, &tasks);
        let serving = serving.map_err(StartError::Serve)?;
        unless_started.disarm();
        let (end_within, pools) = (end_within(settings), vec![reads, writes]);
        Ok(Self { address, admin_address, admin, serving, tasks, stop, end_within, pools, traces })
    }

    /// Where it listens; with port 0 in the settings, the port that was free.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where health and metrics are, for those who run the service.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
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
            drop(self.admin);
            let finish = async {
                self.tasks.end().await;
                join_all(self.pools.iter().map(Pool::close)).await;
                if let Some(traces) = self.traces {
                    traces.end().await;
                }
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

fn serve_settings(settings: &Settings) -> Result<ServeSettings, config::Error> {
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
