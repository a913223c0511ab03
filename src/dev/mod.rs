//! `invitations dev`: the service for real on a private Postgres, with a mailbox, an issuer and a demo organization of
//! its own. Nothing leaves the machine.

mod demo;
mod error;
mod guide;
pub mod issuer;
pub mod mailbox;
pub mod postgres;
mod setup;
mod state;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

use crate::config::{Difference, Settings};
use crate::server::Server;
use crate::store::{migrations, pruning, roles};
pub use error::Error;
use guide::say;
use mailbox::{Mailbox, Script};
use postgres::{Durability, Postgres};
use setup::{Newcomer, found_demo_organization};
pub use state::State;

/// As whom the service connects: not as the superuser, who could change events.
const SERVICE_ROLE: &str = "invitations_service";

/// How long the start of the database may still take after an interrupt. A download is not waited for.
const END_OF_START: Duration = Duration::from_secs(5);

/// What `dev` is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Holds all state.
    pub dir: PathBuf,
    pub listen: SocketAddr,
    /// Start over.
    pub fresh: bool,
    /// Walk the seven steps and end.
    pub demo: bool,
    /// Listen beyond loopback.
    pub expose: bool,
}

/// Runs until `stop`, or with `demo` until the person has access. `settings` makes the settings of the service from
/// defaults that the environment may override, and says which differ from the built-in ones.
pub async fn run(
    options: Options,
    settings: impl FnOnce(&[(String, String)]) -> Result<(Settings, Vec<Difference>), crate::config::Error>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let listen = options.listen;
    if !listen.ip().is_loopback() && !options.expose {
        return Err(Error::new(
            "--listen is beyond this machine, where anybody could use the dev issuer: add --expose to do it",
        ));
    }
    let state = State::open(&options.dir)?;
    // looked at first: the database takes longer
    if let Err(error) = TcpListener::bind(listen) {
        return Err(Error::new(format!("cannot listen on {listen}, choose another --listen: {error}")));
    }
    let mut starting = pin!(start_postgres(&state, options.fresh));
    let postgres = tokio::select! {
        started = &mut starting => started?,
        () = stop.cancelled() => {
            // what is half started would go on without us
            if let Ok(Ok(postgres)) = timeout(END_OF_START, starting).await {
                postgres.stop().await;
            }
            return interrupted(&options);
        }
    };
    say(&format!("database {}", postgres.url()));
    let outcome = serve(&options, &state, postgres.url(), settings, &stop).await;
    postgres.stop().await;
    outcome
}

async fn start_postgres(state: &State, fresh: bool) -> Result<Postgres, Error> {
    if fresh {
        postgres::remove(&state.dir).await.map_err(Error::from_display)?;
        state.clear()?;
    }
    postgres::start(&state.dir, Durability::Durable).await.map_err(Error::from_display)
}

/// The service on that database, from its first call to its last.
async fn serve(
    options: &Options,
    state: &State,
    database_url: &str,
    settings: impl FnOnce(&[(String, String)]) -> Result<(Settings, Vec<Difference>), crate::config::Error>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    migrations::run(database_url).await.map_err(Error::from_display)?;
    let password = uuid::Uuid::new_v4().simple().to_string();
    let service_url = roles::make(database_url, SERVICE_ROLE, &password).await.map_err(Error::from_display)?;
    roles::restrict(database_url, SERVICE_ROLE).await.map_err(Error::from_display)?;
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let mailbox = Mailbox::start(loopback, &state.mailbox(), Script::accept_all()).await?;

    let defaults = state.settings(&service_url, options.listen, mailbox.addr())?;
    let (settings, differences) = settings(&defaults).map_err(Error::from_display)?;
    say(&guide::differences(&differences));
    let events_retention = settings.retention.events_retention_days;
    pruning::allow(database_url, SERVICE_ROLE, events_retention).await.map_err(Error::from_display)?;
    let service_stop = stop.child_token();
    let server = Server::start(&settings, &service_stop).await.map_err(Error::from_display)?;
    let address = server.address();
    let outcome = tokio::select! {
        () = stop.cancelled() => interrupted(options),
        ended = server.failed() => Err(Error::from_display(ended)),
        outcome = use_it(options, state, address, &mailbox) => match outcome {
            Ok(()) if !options.demo => { stop.cancelled().await; Ok(()) }
            outcome => outcome,
        },
    };
    service_stop.cancel();
    server.finished().await.map_err(Error::from_display)?;
    outcome
}

/// Being stopped is how `dev` ends, but no demo that was shown to its end.
fn interrupted(options: &Options) -> Result<(), Error> {
    if options.demo { Err(Error::new("stopped before the person had access")) } else { Ok(()) }
}

async fn use_it(options: &Options, state: &State, address: SocketAddr, mailbox: &Mailbox) -> Result<(), Error> {
    let endpoint = Channel::from_shared(format!("http://{address}")).map_err(Error::from_display)?;
    let channel = endpoint.connect().await.map_err(Error::from_display)?;
    serving(&channel).await?;
    found_demo_organization(state, &channel).await?;
    let newcomer = Newcomer::new(state)?;
    if options.demo {
        say(&format!("ready {address}"));
        return demo::run(state, &channel, mailbox, newcomer).await;
    }
    say(&guide::text(state, address, &newcomer)?);
    say(&format!("ready {address}"));
    Ok(())
}

/// Waits until health says SERVING.
async fn serving(channel: &Channel) -> Result<(), Error> {
    let overall = HealthCheckRequest::default();
    let mut statuses = HealthClient::new(channel.clone()).watch(overall).await?.into_inner();
    while let Some(answer) = statuses.message().await? {
        if answer.status() == ServingStatus::Serving {
            return Ok(());
        }
    }
    Err(Error::new("the service ended before it was ready"))
}
