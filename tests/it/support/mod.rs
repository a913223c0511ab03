//! The same application as `serve` starts, for real: a private Postgres, an SMTP server, tokens of the dev issuer.

mod channel;
pub mod evidence;
pub mod github;
mod people;
mod postgres;
mod stages;
mod statements;
mod tables;
mod tokens;
mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use invitations::config::Settings;
use invitations::dev::issuer;
use invitations::dev::mailbox::{Mailbox, Received, Script};
use invitations::server::Server;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

pub use channel::{Answer, Channel};
pub use people::{Person, bad_fields, named, patiently, reason, retry_after, rules, violations, with_a_typo, words};
pub use postgres::Database;
pub use statements::Watched;
pub use tables::Tables;
pub use tokens::FORGED;
pub use wire::Bytes;

/// Nothing that a test waits for takes longer, unless it never comes.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running service with everything around it, all of it its own.
pub struct Service {
    pub database: Database,
    pub mailbox: Mailbox,
    pub channel: Channel,
    pub address: SocketAddr,
    /// Where its keys are.
    pub dir: PathBuf,
    stop: CancellationToken,
    server: Option<Server>,
}

impl Service {
    /// As `dev` has it: no limits but the one on wrong codes.
    pub async fn start() -> Self {
        Self::start_with(&[], Script::accept_all()).await
    }

    /// Trusts these issuers, too.
    pub async fn start_trusting(entries: Vec<serde_json::Value>) -> Self {
        Self::start_with_entries(|all| all.as_array_mut().unwrap().extend(entries)).await
    }

    /// With other issuers than the three of the dev issuer: GitHub, Entra, services.
    pub async fn start_with_entries(change: impl FnOnce(&mut serde_json::Value)) -> Self {
        Self::start_as(Database::create().await, &[], Script::accept_all(), |dir| {
            let mut entries = serde_json::to_value(issuer::entries(dir).unwrap()).unwrap();
            change(&mut entries);
            vec![("issuers", entries.to_string())]
        })
        .await
    }

    /// Trusts these issuers, too, with other settings.
    pub async fn start_with_more_entries(settings: &[(&str, &str)], entries: Vec<serde_json::Value>) -> Self {
        Self::start_as(Database::create().await, settings, Script::accept_all(), |dir| {
            let mut all = serde_json::to_value(issuer::entries(dir).unwrap()).unwrap();
            all.as_array_mut().unwrap().extend(entries);
            vec![("issuers", all.to_string())]
        })
        .await
    }

    /// With other settings, by their keys, or with a mail server that misbehaves.
    pub async fn start_with(settings: &[(&str, &str)], script: Script) -> Self {
        Self::start_on(Database::create().await, settings, script).await
    }

    /// The same on a database that was made for it.
    pub async fn start_on(database: Database, settings: &[(&str, &str)], script: Script) -> Self {
        Self::start_as(database, settings, script, |_| Vec::new()).await
    }

    /// With settings that depend on the folder where its keys are, too.
    async fn start_as(
        database: Database,
        settings: &[(&str, &str)],
        script: Script,
        more: impl FnOnce(&Path) -> Vec<(&'static str, String)>,
    ) -> Self {
        let stop = CancellationToken::new();
        let start = async |database: &Database, dir: &Path, smtp| {
            let more = more(dir);
            let more = more.iter().map(|(key, value)| (*key, value.as_str()));
            let settings = settings.iter().copied().chain(more).collect::<Vec<_>>();
            let server = start_server(database, dir, smtp, &settings, &stop).await;
            (server.address(), Some(server))
        };
        let (mut service, server) = Self::around(database, script, start).await;
        service.stop = stop;
        service.server = server;
        service
    }

    /// With a server of the caller's own, such as one in another process.
    pub async fn around<S>(
        database: Database,
        script: Script,
        start: impl AsyncFnOnce(&Database, &Path, SocketAddr) -> (SocketAddr, S),
    ) -> (Self, S) {
        let dir = scratch(&database.name);
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mailbox = Mailbox::start(loopback, &dir.join("mailbox"), script).await.unwrap();
        let (address, server) = start(&database, &dir, mailbox.addr()).await;
        let channel = channel_to(address).await;
        (Self { database, mailbox, channel, address, dir, stop: CancellationToken::new(), server: None }, server)
    }

    /// One more replica on the same database and mail server; it ends with the service.
    pub async fn replica(&self, settings: &[(&str, &str)]) -> Channel {
        let server = start_server(&self.database, &self.dir, self.mailbox.addr(), settings, &self.stop).await;
        channel_to(server.address()).await
    }

    /// Where its metrics are, with the setting `admin_listen`.
    pub fn admin_address(&self) -> SocketAddr {
        self.server.as_ref().and_then(Server::admin_address).unwrap()
    }

    /// A connection of the test's own, to look at rows and to age them.
    pub fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    /// Somebody who signs in by GitHub with a verified address, without an account yet.
    pub fn stranger(&self, subject: &str, email: &str) -> Person {
        let token = issuer::user_token(&self.dir, subject, Some(email), true, issuer::Provider::Github).unwrap();
        Person::new(&self.channel, token)
    }

    /// The same by Entra.
    pub fn entra_stranger(&self, subject: &str, email: &str) -> Person {
        let token = issuer::user_token(&self.dir, subject, Some(email), true, issuer::Provider::Entra).unwrap();
        Person::new(&self.channel, token)
    }

    /// Somebody whose address the issuer does not vouch for.
    pub fn unverified(&self, subject: &str, email: &str) -> Person {
        let token = issuer::user_token(&self.dir, subject, Some(email), false, issuer::Provider::Github).unwrap();
        Person::new(&self.channel, token)
    }

    /// Somebody with an account of that name and the address `{username}@example.com`.
    pub async fn account(&self, username: &str) -> Person {
        let person = self.stranger(username, &format!("{username}@example.com"));
        patiently(async || person.create_account(username).await).await.unwrap();
        person
    }

    /// A service with these scopes.
    pub fn service(&self, name: &str, scopes: &[&str]) -> Person {
        let scopes = scopes.iter().map(|scope| invitations::domain::Scope::parse(scope).unwrap()).collect::<Vec<_>>();
        Person::new(&self.channel, issuer::service_token(&self.dir, name, &scopes).unwrap())
    }

    /// An account that has founded an organization, whose notification address is `notify@{id}.example`.
    pub async fn owner(&self, username: &str, organization: &str) -> Person {
        let owner = self.account(username).await;
        patiently(async || owner.create_organization(organization).await).await.unwrap();
        owner
    }

    /// A member of an organization with a role, brought in by its owner in the usual way.
    pub async fn member(&self, owner: &Person, organization: &str, username: &str, role: &str) -> Person {
        let person = self.account(username).await;
        let email = format!("{username}@example.com");
        let offer = patiently(async || owner.offer(organization, username, &email, role).await).await.unwrap();
        patiently(async || person.accept(&offer.name).await).await.unwrap();
        person
    }

    /// The `nth` email (from 1) to an address; waits until it is there.
    pub async fn email_to(&self, address: &str, nth: usize) -> Arc<Received> {
        let waiting = async {
            let mut count = 0;
            loop {
                let received = self.mailbox.wait_for(count).await;
                count = received.len() + 1;
                if let Some(email) = received.iter().filter(|email| email.recipients == [address]).nth(nth - 1) {
                    return email.clone();
                }
            }
        };
        let late = format!("email {nth} to {address} did not come");
        tokio::time::timeout(PATIENCE, waiting).await.expect(&late)
    }

    /// The code of the `nth` email to an address.
    pub async fn code_to(&self, address: &str, nth: usize) -> String {
        let text = words(&*self.email_to(address, nth).await);
        let groups = |line: &&str| line.split('-').map(str::len).eq([4; 7]);
        text.lines().map(str::trim).find(groups).expect("the email holds a code").to_owned()
    }

    /// Moves the end of an invitation into the past: tests age rows, they never sleep.
    pub async fn let_expire(&self, invitation: &str) {
        let id = invitation.rsplit('/').next().unwrap();
        let aged =
            sqlx::query("UPDATE invitations SET expire_time = now() - interval '1 second' WHERE invitation = $1::uuid")
                .bind(id)
                .execute(self.pool())
                .await
                .unwrap();
        assert_eq!(aged.rows_affected(), 1);
    }

    /// Recounts what the head rows count, and the positions of the events.
    pub async fn recount(&self) {
        let wrong: Vec<String> = sqlx::query_scalar(
            "SELECT h.organization FROM organization_heads h WHERE \
               h.seats_taken <> (SELECT count(*) FROM members m WHERE m.organization = h.organization AND m.role <> 'NONE') \
                 + (SELECT count(*) FROM invitations i WHERE i.organization = h.organization \
                     AND i.state IN ('OFFERED', 'PENDING_APPROVAL') AND i.role <> 'NONE') \
               OR h.owners <> (SELECT count(*) FROM members m WHERE m.organization = h.organization AND m.role = 'OWNER') \
               OR h.open_invitations <> (SELECT count(*) FROM invitations i WHERE i.organization = h.organization \
                     AND i.state IN ('INVITED', 'ACCESS_REQUESTED', 'PENDING_APPROVAL', 'OFFERED')) \
               OR h.event_position <> (SELECT count(*) FROM events e WHERE e.organization = h.organization) \
               OR h.event_position <> (SELECT max(position) FROM events e WHERE e.organization = h.organization)",
        )
        .fetch_all(self.pool())
        .await
        .unwrap();
        assert!(wrong.is_empty(), "what the head rows of {wrong:?} count is not there");
    }

    /// Tells the service to stop and waits until it has.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(server) = self.server.take() {
            server.finished().await.unwrap();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
        evidence::metrics();
    }
}

async fn start_server(
    database: &Database,
    dir: &Path,
    smtp: SocketAddr,
    settings: &[(&str, &str)],
    stop: &CancellationToken,
) -> Server {
    let settings = settings_for(&database.service_url, dir, smtp, settings);
    Box::pin(Server::start(&settings, stop)).await.unwrap()
}

/// Connects when calls can be carried out.
pub async fn channel_to(server: SocketAddr) -> Channel {
    let channel = Channel::open(Endpoint::from_shared(format!("http://{server}")).unwrap()).await.unwrap();
    let mut health =
        HealthClient::new(channel.clone()).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let serving = async { while health.message().await.unwrap().unwrap().status() != ServingStatus::Serving {} };
    // a start makes many connections, and on a busy machine each may take long
    tokio::time::timeout(3 * PATIENCE, serving).await.expect("the service becomes ready");
    channel
}

/// The settings of a service of these tests; those given win.
pub fn settings_for(database_url: &str, dir: &Path, smtp: SocketAddr, settings: &[(&str, &str)]) -> Settings {
    Settings::with_defaults(&values_for(database_url, dir, smtp, settings), &[]).unwrap()
}

/// The same as they are written, by their keys.
pub fn values_for<'a>(
    database_url: &str,
    dir: &Path,
    smtp: SocketAddr,
    settings: &[(&'a str, &str)],
) -> Vec<(&'a str, String)> {
    let [keys, address_key] = [("code-keys", 7), ("address-key", 5)].map(|(name, byte)| {
        let path = dir.join(name);
        std::fs::write(&path, format!("test {}\n", base64_of(&[byte; 32]))).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path
    });
    let fixed = [
        ("listen", "127.0.0.1:0".to_owned()),
        ("database_url", database_url.to_owned()),
        ("public_base_url", "https://hub.example".to_owned()),
        ("code_keys_file", keys.display().to_string()),
        ("address_key_file", address_key.display().to_string()),
        ("issuers", serde_json::to_string(&issuer::entries(dir).unwrap()).unwrap()),
        ("accounts_create_organizations", "true".to_owned()),
        ("smtp_host", smtp.ip().to_string()),
        ("smtp_port", smtp.port().to_string()),
        ("smtp_tls", "none".to_owned()),
        ("mail_from", "IPMHub <invitations@hub.example>".to_owned()),
        ("resend_interval_seconds", "0".to_owned()),
        ("resends_per_invitation_limit", "0".to_owned()),
        ("open_invitations_limit", "0".to_owned()),
        ("wrong_accounts_limit", "0".to_owned()),
        ("invitations_per_organization_limit", "0".to_owned()),
        ("invitations_per_caller_limit", "0".to_owned()),
        ("organizations_per_identity_limit", "0".to_owned()),
        ("account_attempts_per_identity_limit", "0".to_owned()),
        ("protection_changes_per_caller_limit", "0".to_owned()),
        ("changes_per_subject_limit", "0".to_owned()),
        ("emails_per_address_limit", "0".to_owned()),
        ("emails_per_organization_and_address_limit", "0".to_owned()),
        ("unverified_notifications_limit", "0".to_owned()),
        ("notices_per_address_limit", "0".to_owned()),
        ("sweep_interval_seconds", "3600".to_owned()),
        ("endpoint_delay_seconds", "0".to_owned()),
        ("drain_timeout_seconds", "2".to_owned()),
    ];
    let others = fixed.into_iter().filter(|(key, _)| settings.iter().all(|(other, _)| other != key));
    others.chain(settings.iter().map(|(key, value)| (*key, (*value).to_owned()))).collect()
}

/// A folder for one service, emptied first.
pub fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("services").join(name);
    std::fs::remove_dir_all(&dir).ok();
    std::fs::create_dir_all(dir.join("mailbox")).unwrap();
    dir
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
