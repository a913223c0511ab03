//! Whether the time of an answer tells what exists from what does not: medians of a bad code of each kind against an
//! unknown one, and of things that are there against things that are not, measured in turn.
//!
//! `cargo bench --bench enumeration` takes about two minutes. Medians may differ by less than 50 µs or 1 %.

#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use invitations::config::Settings;
use invitations::dev::issuer::{self, Provider};
use invitations::dev::postgres::{self, Durability};
use invitations::domain::{CodeKey, InvitationCode, InvitationId};
use invitations::pb::account_service_client::AccountServiceClient;
use invitations::pb::invitation_service_client::InvitationServiceClient;
use invitations::pb::organization_service_client::OrganizationServiceClient;
use invitations::pb::{self, Invitation};
use invitations::server::Server;
use invitations::store::migrations;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Request};
use uuid::Uuid;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Of each of the two that are compared.
const SAMPLES: usize = 4000;
const SECRET: [u8; 32] = [7; 32];
/// By how much two medians may differ, if not by 1 %.
const ALLOWED: Duration = Duration::from_micros(50);

#[tokio::main]
async fn main() -> Result<()> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("enumeration");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    let postgres = postgres::start(&dir, Durability::FsyncOff).await?;
    migrations::run(postgres.url()).await?;
    let stop = CancellationToken::new();
    let server = Server::start(&settings(postgres.url(), &dir)?, &stop).await?;
    let endpoint = Channel::from_shared(format!("http://{}", server.address()))?.tcp_nodelay(true);
    let channel = endpoint.connect().await?;

    let olga = Person::new(&channel, &dir, "olga")?;
    let mallory = Person::new(&channel, &dir, "mallory")?;
    for (person, name) in [(&olga, "olga"), (&mallory, "mallory")] {
        let message = pb::CreateAccountRequest { account_id: name.to_owned(), ..Default::default() };
        person.accounts().create_account(person.request(message)).await?;
    }
    let rows = PgPool::connect(postgres.url()).await?;
    let codes = codes(&olga, &rows).await?;
    let mut ok = true;
    println!(
        "{:44} {:>10} {:>10} {:>9} {:>7}",
        "what is told from an unknown one", "median", "unknown", "differ", "ratio"
    );
    for (what, code) in &codes[1..] {
        let known = Call::Code(code.clone());
        ok &= compare(what, &mallory, &known, &Call::Code(codes[0].1.clone())).await?;
    }
    let invitation = invite(&olga, "there@example.com").await?;
    let other = format!("organizations/acme/invitations/{}", Uuid::now_v7());
    let pairs = [
        (
            "an organization",
            Call::Organization("organizations/acme".to_owned()),
            Call::Organization("organizations/acne".to_owned()),
        ),
        ("its events", Call::Events("organizations/acme".to_owned()), Call::Events("organizations/acne".to_owned())),
        ("an invitation", Call::Invitation(invitation.clone()), Call::Invitation(other.clone())),
        ("an invitation, to be accepted", Call::Accept(invitation.clone()), Call::Accept(other)),
        (
            "an invitation, or no organization",
            Call::Invitation(invitation.clone()),
            Call::Invitation(invitation.replace("acme", "acne")),
        ),
        (
            "a member",
            Call::Member("organizations/acme/members/olga".to_owned()),
            Call::Member("organizations/acme/members/otto".to_owned()),
        ),
        ("an account", Call::Account("accounts/olga".to_owned()), Call::Account("accounts/otto".to_owned())),
    ];
    for (what, there, not_there) in &pairs {
        ok &= compare(what, &mallory, there, not_there).await?;
    }
    println!(
        "{}",
        if ok { "ok: no median differs by 50 µs and by 1 %" } else { "NOT ok: a median differs by 50 µs and by 1 %" }
    );
    rows.close().await;
    drop(channel);
    stop.cancel();
    server.finished().await?;
    postgres.stop().await;
    if ok { Ok(()) } else { Err("the time of an answer tells what exists".into()) }
}

/// In turn, and each of the two first every other time, so that what else this machine does falls on both.
async fn compare(what: &str, who: &Person, a: &Call, b: &Call) -> Result<bool> {
    let mut times = [Vec::with_capacity(SAMPLES), Vec::with_capacity(SAMPLES)];
    for n in 0..SAMPLES + 200 {
        for side in [n % 2, 1 - n % 2] {
            let call = [a, b][side];
            let took = call.time(who).await?;
            // connections and plans are made by the first ones
            if n >= 200 {
                times[side].push(took);
            }
        }
    }
    let [a, b] = times.map(median);
    let differ = a.abs_diff(b);
    let ratio = a.as_secs_f64() / b.as_secs_f64();
    let ok = differ < ALLOWED || (ratio - 1.0).abs() < 0.01;
    let micros = |time: Duration| format!("{:.1} µs", time.as_secs_f64() * 1e6);
    println!(
        "{what:44} {:>10} {:>10} {:>9} {ratio:7.3} {}",
        micros(a),
        micros(b),
        micros(differ),
        if ok { "ok" } else { "NOT ok" }
    );
    Ok(ok)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

enum Call {
    Code(String),
    Organization(String),
    Events(String),
    Invitation(String),
    Accept(String),
    Member(String),
    Account(String),
}

impl Call {
    /// How long the refusal takes.
    async fn time(&self, who: &Person) -> Result<Duration> {
        let begin = Instant::now();
        let outcome = match self {
            Self::Code(code) => {
                let message = pb::RequestAccessRequest { code: code.clone(), ..Default::default() };
                who.invitations().request_access(who.request(message)).await.map(drop)
            }
            Self::Organization(name) => {
                let message = pb::GetOrganizationRequest { name: name.clone() };
                who.organizations().get_organization(who.request(message)).await.map(drop)
            }
            Self::Events(parent) => {
                let message = pb::ListEventsRequest { parent: parent.clone(), ..Default::default() };
                who.organizations().list_events(who.request(message)).await.map(drop)
            }
            Self::Invitation(name) => {
                let message = pb::GetInvitationRequest { name: name.clone() };
                who.invitations().get_invitation(who.request(message)).await.map(drop)
            }
            Self::Accept(name) => {
                let message = pb::AcceptInvitationRequest { name: name.clone(), ..Default::default() };
                who.invitations().accept_invitation(who.request(message)).await.map(drop)
            }
            Self::Member(name) => {
                let message = pb::GetMemberRequest { name: name.clone() };
                who.organizations().get_member(who.request(message)).await.map(drop)
            }
            Self::Account(name) => {
                let message = pb::GetAccountRequest { name: name.clone() };
                who.accounts().get_account(who.request(message)).await.map(drop)
            }
        };
        let took = begin.elapsed();
        match outcome {
            Err(status) if status.code() == Code::NotFound => Ok(took),
            other => Err(format!("not refused as it should be: {other:?}").into()),
        }
    }
}

/// One code for each way in which a code can be bad, the unknown one first.
async fn codes(olga: &Person, rows: &PgPool) -> Result<Vec<(&'static str, String)>> {
    let organization = pb::Organization {
        display_name: "Acme".to_owned(),
        notification_email: "notify@acme.example".to_owned(),
        ..Default::default()
    };
    let message = pb::CreateOrganizationRequest {
        organization_id: "acme".to_owned(),
        organization: Some(organization),
        ..Default::default()
    };
    olga.organizations().create_organization(olga.request(message)).await?;
    let mut codes = vec![("an unknown code", code_of(&format!("/{}", Uuid::now_v7()))?)];
    let states = [
        ("an expired code", "expire_time = now() - interval '1 second'"),
        ("a code of a retired key", "code_key_id = 'retired'"),
        (
            "a code that is bound",
            "state = 'ACCESS_REQUESTED', username = 'anna', account_email = email, account_email_key = email_key, expire_time = NULL",
        ),
        ("a rotated code", "code_hash = decode(repeat('00', 32), 'hex'), generation = 2"),
        (
            "a code whose account has an offer",
            "state = 'OFFERED', username = 'ben', account_email = email, account_email_key = email_key, role = 'READER', offerer = inviter",
        ),
        (
            "a code whose account is a member",
            "state = 'ACCEPTED', username = 'carl', account_email = email, account_email_key = email_key, role = 'READER', offerer = inviter",
        ),
        (
            "a code whose account has declined",
            "state = 'DECLINED', username = 'dora', account_email = email, account_email_key = email_key",
        ),
        (
            "a code whose account was rejected",
            "state = 'REJECTED', username = 'emil', account_email = email, account_email_key = email_key, expire_time = NULL",
        ),
    ];
    for (number, (what, change)) in states.into_iter().enumerate() {
        let name = invite(olga, &format!("guest-{number}@example.com")).await?;
        let id = Uuid::try_parse(name.rsplit('/').next().unwrap_or_default())?;
        let update = format!("UPDATE invitations SET {change} WHERE invitation = $1");
        sqlx::query(sqlx::AssertSqlSafe(update)).bind(id).execute(rows).await?;
        codes.push((what, code_of(&name)?));
    }
    let revoked = invite(olga, "revoked@example.com").await?;
    let message = pb::RevokeInvitationRequest { name: revoked.clone(), ..Default::default() };
    olga.invitations().revoke_invitation(olga.request(message)).await?;
    codes.push(("a revoked code", code_of(&revoked)?));
    Ok(codes)
}

async fn invite(olga: &Person, email: &str) -> Result<String> {
    let message = pb::CreateInvitationRequest {
        parent: "organizations/acme".to_owned(),
        invitation: Some(Invitation { email: email.to_owned(), ..Default::default() }),
        ..Default::default()
    };
    Ok(olga.invitations().create_invitation(olga.request(message)).await?.into_inner().name)
}

fn code_of(name: &str) -> Result<String> {
    let key = CodeKey::new("bench".to_owned(), SECRET.to_vec()).ok_or("the key is too short")?;
    let id = name.rsplit('/').next().and_then(InvitationId::parse).ok_or("no name of an invitation")?;
    Ok(InvitationCode::derive(&key, id, 1).reveal())
}

struct Person {
    channel: Channel,
    token: tonic::metadata::MetadataValue<tonic::metadata::Ascii>,
}

impl Person {
    fn new(channel: &Channel, dir: &Path, name: &str) -> Result<Self> {
        let email = format!("{name}@example.com");
        let token = issuer::user_token(dir, name, Some(&email), true, Provider::Github)?;
        Ok(Self { channel: channel.clone(), token: format!("Bearer {token}").parse()? })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.token.clone());
        request
    }

    fn invitations(&self) -> InvitationServiceClient<Channel> {
        InvitationServiceClient::new(self.channel.clone())
    }

    fn organizations(&self) -> OrganizationServiceClient<Channel> {
        OrganizationServiceClient::new(self.channel.clone())
    }

    fn accounts(&self) -> AccountServiceClient<Channel> {
        AccountServiceClient::new(self.channel.clone())
    }
}

fn settings(database_url: &str, dir: &Path) -> Result<Settings> {
    use base64::Engine;
    let keys = dir.join("code-keys");
    fs::write(&keys, format!("bench {}\n", base64::engine::general_purpose::STANDARD.encode(SECRET)))?;
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600))?;
    let settings = [
        ("listen", "127.0.0.1:0".to_owned()),
        ("database_url", database_url.to_owned()),
        ("public_base_url", "https://hub.example".to_owned()),
        ("code_keys_file", keys.display().to_string()),
        // the same form; these settings are never kept
        ("address_key_file", keys.display().to_string()),
        ("issuers", serde_json::to_string(&issuer::entries(dir)?)?),
        ("accounts_create_organizations", "true".to_owned()),
        // nobody listens on port 1
        ("smtp_host", "127.0.0.1".to_owned()),
        ("smtp_port", "1".to_owned()),
        ("smtp_tls", "none".to_owned()),
        ("mail_from", "invitations@hub.example".to_owned()),
        ("wrong_codes_limit", "0".to_owned()),
    ];
    Ok(Settings::with_defaults(&settings, &[])?)
}
