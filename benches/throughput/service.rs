//! The service, started as `serve` starts it, and callers over gRPC on connections of their own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use invitations::config::Settings;
use invitations::dev::issuer::{self, Provider};
use invitations::pb::invitation_service_client::InvitationServiceClient;
use invitations::pb::{AcceptInvitationRequest, CreateInvitationRequest, Invitation};
use invitations::server::Server;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::database::{ACCOUNTS, Database, ORGANIZATIONS};
use crate::figures::{Call, Figures};
use crate::{Method, Result, Scenario};

/// Connections that the callers share; gateways have a few.
const CONNECTIONS: u32 = 8;

type Token = MetadataValue<Ascii>;

pub struct Service {
    pub database: Database,
    server: Server,
    stop: CancellationToken,
    people: Arc<People>,
    connections: Vec<Channel>,
}

/// Tokens, by the numbers of organizations and accounts.
struct People {
    owners: Vec<Token>,
    accounts: Vec<Token>,
}

impl Service {
    /// Without a mail server the emails stay in the outbox, as pgbench leaves them.
    pub async fn start(database: Database, dir: &Path, smtp: Option<SocketAddr>) -> Result<Self> {
        let stop = CancellationToken::new();
        let server = Server::start(&settings(&database.url, dir, smtp)?, &stop).await?;
        let endpoint = Channel::from_shared(format!("http://{}", server.address()))?.tcp_nodelay(true);
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(endpoint.connect().await?);
        }
        let people = Arc::new(People {
            owners: (0..ORGANIZATIONS).map(|n| token(dir, &format!("owner-{n}"))).collect::<Result<_>>()?,
            accounts: (0..ACCOUNTS).map(|n| token(dir, &format!("account-{n}"))).collect::<Result<_>>()?,
        });
        Ok(Self { database, server, stop, people, connections })
    }

    /// Every caller makes one call after the other, at least one, until the time is over or no offer is left.
    pub async fn measure(&self, scenario: Scenario, time: Duration) -> Result<Figures> {
        self.database.prepare(scenario).await?;
        let next = Arc::new(AtomicU32::new(0));
        let begin = Instant::now();
        let mut callers = JoinSet::new();
        for connection in self.connections.iter().cycle().take(scenario.callers.try_into()?) {
            let caller = Caller {
                client: InvitationServiceClient::new(connection.clone()),
                people: Arc::clone(&self.people),
                scenario,
                next: Arc::clone(&next),
            };
            callers.spawn(caller.call_until(begin, time));
        }
        let mut calls = Vec::new();
        while let Some(made) = callers.join_next().await {
            calls.extend(made??);
        }
        Ok(Figures { time: begin.elapsed(), calls })
    }

    pub async fn stop(self) -> Result<()> {
        drop(self.connections);
        self.stop.cancel();
        Ok(self.server.finished().await?)
    }
}

struct Caller {
    client: InvitationServiceClient<Channel>,
    people: Arc<People>,
    scenario: Scenario,
    /// The number of the next call, of all callers.
    next: Arc<AtomicU32>,
}

impl Caller {
    async fn call_until(mut self, begin: Instant, time: Duration) -> std::result::Result<Vec<Call>, tonic::Status> {
        let mut calls = Vec::new();
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let called = Instant::now();
            match self.scenario.method {
                Method::Create => self.create(n).await?,
                Method::Accept if n < ACCOUNTS => self.accept(n).await?,
                Method::Accept => break,
            }
            let ended = begin.elapsed();
            calls.push(Call { ended, took: called.elapsed() });
            if ended >= time {
                break;
            }
        }
        Ok(calls)
    }

    async fn create(&mut self, n: u32) -> std::result::Result<(), tonic::Status> {
        let organization = self.organization(n);
        let invitation =
            Invitation { email: format!("s{}-{n}@example.com", self.scenario.run), ..Invitation::default() };
        let message = CreateInvitationRequest {
            parent: format!("organizations/organization-{organization}"),
            invitation: Some(invitation),
            ..CreateInvitationRequest::default()
        };
        let token = self.people.owners[organization as usize].clone();
        self.client.create_invitation(authorized(message, token)).await.map(drop)
    }

    async fn accept(&mut self, n: u32) -> std::result::Result<(), tonic::Status> {
        let (organization, run) = (self.organization(n), self.scenario.run);
        // as the function `invitation_of` of the seed makes it
        let id = uuid::Uuid::from_u128(u128::from(run) << 112 | u128::from(n) << 80 | 0x7000_8000 << 48);
        let message = AcceptInvitationRequest {
            name: format!("organizations/organization-{organization}/invitations/{id}"),
            ..AcceptInvitationRequest::default()
        };
        let token = self.people.accounts[n as usize].clone();
        self.client.accept_invitation(authorized(message, token)).await.map(drop)
    }

    /// In turn, as the seed deals offers.
    fn organization(&self, n: u32) -> u32 {
        let organizations = self.scenario.organizations();
        organizations.start() + n % (organizations.end() - organizations.start() + 1)
    }
}

fn authorized<T>(message: T, token: Token) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", token);
    request
}

fn token(dir: &Path, username: &str) -> Result<Token> {
    let email = format!("{username}@example.com");
    let token = issuer::user_token(dir, username, Some(&email), true, Provider::Github)?;
    Ok(format!("Bearer {token}").parse()?)
}

/// The defaults, but no limit on what one organization may have and one owner may do.
fn settings(database_url: &str, dir: &Path, smtp: Option<SocketAddr>) -> Result<Settings> {
    let [keys, address_key] = ["code-keys", "address-key"].map(|name| dir.join(name));
    for file in [&keys, &address_key].into_iter().filter(|file| !file.exists()) {
        std::fs::write(file, format!("bench {}\n", STANDARD.encode([7; 32])))?;
        std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    }
    // nobody listens on port 1
    let smtp = smtp.unwrap_or(([127, 0, 0, 1], 1).into());
    let settings = [
        ("listen", "127.0.0.1:0".to_owned()),
        ("database_url", database_url.to_owned()),
        ("public_base_url", "https://hub.example".to_owned()),
        ("code_keys_file", keys.display().to_string()),
        ("address_key_file", address_key.display().to_string()),
        ("issuers", serde_json::to_string(&issuer::entries(dir)?)?),
        ("smtp_host", smtp.ip().to_string()),
        ("smtp_port", smtp.port().to_string()),
        ("smtp_tls", "none".to_owned()),
        ("mail_from", "IPMHub <invitations@hub.example>".to_owned()),
        ("open_invitations_limit", "0".to_owned()),
        ("invitations_per_organization_limit", "0".to_owned()),
        ("invitations_per_caller_limit", "0".to_owned()),
        ("organizations_per_identity_limit", "0".to_owned()),
        ("endpoint_delay_seconds", "0".to_owned()),
        ("drain_timeout_seconds", "2".to_owned()),
    ];
    Ok(Settings::with_defaults(&settings, &[])?)
}
