//! `invitations dev`: the service for real on a private Postgres, with a mailbox, an issuer and a demo organization of
//! its own. Nothing leaves the machine.

mod demo;
mod guide;
pub mod issuer;
pub mod mailbox;
pub mod postgres;
mod state;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;
use tonic::{Code, Request};

use crate::config::Settings;
use crate::pb::account_service_client::AccountServiceClient;
use crate::pb::organization_service_client::OrganizationServiceClient;
use crate::pb::{self, CreateAccountRequest, CreateOrganizationRequest};
use crate::server::Server;
use crate::store::migrations;
use mailbox::{Mailbox, Script};
use postgres::Durability;
pub use state::State;

/// The demo organization, its notification address and its owner.
const DEMO_ORGANIZATION: &str = "organizations/acme";
const NOTIFICATION_EMAIL: &str = "it@acme.example";
const OWNER: &str = "olga";

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

/// Why `dev` ends; one line for the developer.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    fn from_display(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::from_display(error)
    }
}

/// Runs until `stop`, or with `demo` until the person has access. `settings` makes the settings of the service from
/// defaults that the environment may override.
pub async fn run(
    options: Options,
    settings: impl FnOnce(&[(&str, String)]) -> Result<Settings, crate::config::Error>,
    stop: CancellationToken,
) -> Result<(), Error> {
    if !options.listen.ip().is_loopback() && !options.expose {
        return Err(Error::new(
            "--listen is beyond this machine, where anybody could use the dev issuer: add --expose to do it",
        ));
    }
    let state = State::open(&options.dir, options.fresh)?;
    let postgres = postgres::start(&state.dir, Durability::Durable).await.map_err(Error::from_display)?;
    say(&format!("database {}", postgres.url()));
    migrations::run(postgres.url()).await.map_err(Error::from_display)?;
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let mailbox =
        Mailbox::start(loopback, &state.mailbox(), Script::accept_all()).await.map_err(Error::from_display)?;

    let defaults = state.settings(postgres.url(), options.listen, mailbox.addr())?;
    let settings = settings(&defaults).map_err(Error::from_display)?;
    let service_stop = stop.child_token();
    let server = Server::start(&settings, &service_stop).await.map_err(Error::from_display)?;
    let address = server.address().to_string();
    let outcome = tokio::select! {
        () = stop.cancelled() => Ok(()),
        outcome = use_it(&options, &state, &address, &mailbox) => match outcome {
            Ok(()) if !options.demo => { stop.cancelled().await; Ok(()) }
            outcome => outcome,
        },
    };
    service_stop.cancel();
    server.finished().await.map_err(Error::from_display)?;
    postgres.stop().await;
    outcome
}

async fn use_it(options: &Options, state: &State, address: &str, mailbox: &Mailbox) -> Result<(), Error> {
    found_demo_organization(state, address).await?;
    if options.demo {
        say(&format!("ready {address}"));
        return demo::run(state, address, mailbox).await;
    }
    say(&guide::text(state, address)?);
    say(&format!("ready {address}"));
    Ok(())
}

/// The demo organization with its owner, unless an earlier run founded it.
async fn found_demo_organization(state: &State, address: &str) -> Result<(), Error> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).map_err(Error::from_display)?;
    let channel = endpoint.connect().await.map_err(Error::from_display)?;
    let bearer = format!("Bearer {}", state.owner_token()?);
    let bearer = bearer.parse::<tonic::metadata::MetadataValue<_>>().map_err(Error::from_display)?;
    let authenticated = move |mut request: Request<()>| {
        request.metadata_mut().insert("authorization", bearer.clone());
        Ok(request)
    };
    let mut accounts = AccountServiceClient::with_interceptor(channel.clone(), authenticated.clone());
    let account = CreateAccountRequest { account_id: OWNER.to_owned(), ..CreateAccountRequest::default() };
    unless_there(accounts.create_account(account).await)?;
    let mut organizations = OrganizationServiceClient::with_interceptor(channel, authenticated);
    let organization = CreateOrganizationRequest {
        organization_id: DEMO_ORGANIZATION.trim_start_matches("organizations/").to_owned(),
        organization: Some(pb::Organization {
            display_name: "Acme".to_owned(),
            notification_email: NOTIFICATION_EMAIL.to_owned(),
            ..pb::Organization::default()
        }),
        ..CreateOrganizationRequest::default()
    };
    unless_there(organizations.create_organization(organization).await)
}

fn unless_there<T>(outcome: Result<T, tonic::Status>) -> Result<(), Error> {
    match outcome {
        Err(status) if status.code() != Code::AlreadyExists => Err(status.into()),
        _ => Ok(()),
    }
}

#[expect(clippy::print_stdout, reason = "what the command is for")]
fn say(line: &str) {
    println!("{line}");
}
