//! How long after its commit a change is heard by those who watch: on the replica that has made it and on another one, by one
//! watcher and by a thousand.
//!
//! `cargo bench --bench watch` takes about 2 minutes. The time begins when the caller has the answer, which is sent when the
//! transaction is committed.

#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

#[expect(dead_code, unused_imports, reason = "of what the benchmarks share, this one needs a part")]
#[path = "../rig/mod.rs"]
mod rig;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use invitations::dev::postgres::{self, Durability};
use invitations::pb::invitation_service_client::InvitationServiceClient;
use invitations::pb::organization_service_client::OrganizationServiceClient;
use invitations::pb::{
    CreateInvitationRequest, CreateOrganizationRequest, Invitation, Organization, WatchEventsRequest,
};
use rig::people::authorized;
use rig::{Database, People, Result, Service};
use tokio::sync::mpsc;

/// Emails stay in the outbox.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
const SETTINGS: [(&str, &str); 6] = [
    ("accounts_create_organizations", "true"),
    ("invitations_per_caller_limit", "0"),
    ("invitations_per_organization_limit", "0"),
    ("open_invitations_limit", "0"),
    ("max_watches_per_caller", "2000"),
    ("max_concurrent_streams", "1000"),
];
const ORGANIZATION: &str = "organizations/watched";
/// Streams on a connection.
const STREAMS: usize = 100;
const CHANGES: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("watch");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(dir.join("other"))?;
    let postgres = postgres::start(&dir, Durability::Durable).await?;
    let people = Arc::new(People::new(&dir)?);
    let database = Database::create(postgres.url(), "watch").await?;
    let same = Database { url: database.url.clone(), pool: database.pool.clone() };
    let writes = Service::start(database, &dir, Arc::clone(&people), NOWHERE, &SETTINGS).await?;
    let reads = Service::start(same, &dir.join("other"), Arc::clone(&people), NOWHERE, &SETTINGS).await?;
    let message = CreateOrganizationRequest {
        organization_id: "watched".to_owned(),
        organization: Some(Organization {
            display_name: "Watched".to_owned(),
            notification_email: "owner-0@example.com".to_owned(),
            ..Organization::default()
        }),
        ..CreateOrganizationRequest::default()
    };
    let mut organizations = OrganizationServiceClient::new(writes.connection(0));
    organizations.create_organization(authorized(message, &people.owners[0])).await?;
    println!("{:34} {:>9} {:>9} {:>9}", "", "p50", "p99", "all, p50");
    for (place, service) in [("the same replica", &writes), ("another replica", &reads)] {
        for watchers in [1, 1000] {
            measure(&format!("{watchers} on {place}"), &writes, service, watchers).await?;
        }
    }
    writes.stop().await?;
    reads.stop().await?;
    postgres.stop().await;
    fs::remove_dir_all(&dir)?;
    Ok(())
}

/// Changes one after the other, and when each watcher heard of each.
async fn measure(name: &str, writes: &Service, reads: &Service, watchers: usize) -> Result<()> {
    let owner = &writes.people.owners[0];
    let (heard, mut told) = mpsc::unbounded_channel();
    let mut tasks = Vec::new();
    for first in (0..watchers).step_by(STREAMS) {
        let connection = reads.another_connection().await?;
        for _ in first..watchers.min(first + STREAMS) {
            let message = WatchEventsRequest { parent: ORGANIZATION.to_owned(), ..WatchEventsRequest::default() };
            let mut organizations = OrganizationServiceClient::new(connection.clone());
            let mut stream = organizations.watch_events(authorized(message, owner)).await?.into_inner();
            stream.message().await?;
            let heard = heard.clone();
            tasks.push(tokio::spawn(async move {
                while let Ok(Some(message)) = stream.message().await {
                    if !message.events.is_empty() && heard.send(Instant::now()).is_err() {
                        break;
                    }
                }
            }));
        }
    }
    let mut invitations = InvitationServiceClient::new(writes.another_connection().await?);
    let (mut times, mut last) = (Vec::new(), Vec::new());
    for change in 0..CHANGES {
        let email = format!("{}-{change}@example.com", name.replace(' ', "-"));
        let message = CreateInvitationRequest {
            parent: ORGANIZATION.to_owned(),
            invitation: Some(Invitation { email, ..Invitation::default() }),
            ..CreateInvitationRequest::default()
        };
        invitations.create_invitation(authorized(message, owner)).await?;
        let committed = Instant::now();
        let first = times.len();
        while times.len() < first + watchers {
            times.push(told.recv().await.ok_or("nobody watches")?.saturating_duration_since(committed));
        }
        last.extend(times[first..].iter().max().copied());
        // another moment between two polls each time
        tokio::time::sleep(Duration::from_millis(rand::random_range(20..120))).await;
    }
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    for all in [&mut times, &mut last] {
        all.sort_unstable();
    }
    let at = |all: &[Duration], percent: usize| all[all.len() * percent / 100];
    println!("{name:34} {:>9.1?} {:>9.1?} {:>9.1?}", at(&times, 50), at(&times, 99), at(&last, 50));
    Ok(())
}
