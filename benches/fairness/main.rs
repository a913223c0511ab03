//! What a bystander feels of another caller's flood: their calls without a flood, with each kind of it, and with each
//! kind where one caller may have all calls in flight.
//!
//! `cargo bench --bench fairness -- --bulk` measures only what batches take, and what others feel of them.
//!
//! `cargo bench --bench fairness` takes about 3 minutes. Ratios to the quiet time are what counts. The service and Postgres
//! have one processor and the callers have the others; the bystander has a thread of its own, as another machine would be.

#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

mod bulk;
mod flood;
#[expect(dead_code, unused_imports, reason = "of what the benchmarks share, this one needs a part")]
#[path = "../rig/mod.rs"]
mod rig;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flood::Flood;
use invitations::dev::postgres::{self, Durability};
use rig::pin::{pin, postgres_process};
use rig::{Caller, Database, Method, People, Result, Scenario, Service, Spread};
use tonic::Status;
use tonic::transport::Channel;

/// Emails stay in the outbox.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
const TIME: Duration = Duration::from_secs(10);
/// Between two calls of the bystander.
const PAUSE: Duration = Duration::from_millis(10);
/// Of one account: four connections with fifty calls at a time each.
const CONNECTIONS: usize = 4;
const STREAMS: usize = 50;
/// Nothing but the share is to hold the flood back.
const SETTINGS: [(&str, &str); 5] = [
    ("accounts_create_organizations", "true"),
    ("invitations_per_caller_limit", "0"),
    ("invitations_per_organization_limit", "0"),
    ("open_invitations_limit", "0"),
    ("organizations_per_identity_limit", "0"),
];
/// The control.
const NO_SHARE: (&str, &str) = ("max_calls_per_caller", "256");

#[tokio::main]
async fn main() -> Result<()> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fairness");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    let postgres = postgres::start(&dir, Durability::Durable).await?;
    pin(postgres_process(&dir)?, "0")?;
    pin(std::process::id(), "1-63")?;
    let people = Arc::new(People::new(&dir)?);
    let mut database = Database::create(postgres.url(), "fairness").await?;
    database.prepare_reads(&people).await?;
    println!("{:44} {:>6} {:>7} {:>9} {:>9} {:>9} {:>8}", "", "calls", "failed", "p50", "p99", "p99 ratio", "flood/s");
    // each measurement has addresses of its own
    let mut runs = 1_u16..;
    for (name, settings) in [("with shares", &SETTINGS[..]), ("without", &[&SETTINGS[..], &[NO_SHARE]].concat())] {
        let service = Service::start(database, &dir, Arc::clone(&people), NOWHERE, settings).await?;
        pin(service.process.id().unwrap_or_default(), "0")?;
        if std::env::args().any(|argument| argument == "--bulk") {
            bulk::measure(&service, &mut runs).await?;
            database = service.stop().await?;
            break;
        }
        flood::prepare(&service).await?;
        let first = runs.next().unwrap_or_default();
        let quiet = watch(&service, None, first).await?;
        quiet.show(&format!("{name}: no flood"), &quiet);
        if settings.len() == SETTINGS.len() {
            bulk::measure(&service, &mut runs).await?;
        }
        for (flood, run) in Flood::ALL.into_iter().zip(&mut runs) {
            watch(&service, Some(flood), run).await?.show(&format!("{name}: {}", flood.name()), &quiet);
        }
        database = service.stop().await?;
    }
    drop(database);
    postgres.stop().await;
    fs::remove_dir_all(&dir)?;
    Ok(())
}

/// What the bystander saw.
struct Seen {
    times: Vec<Duration>,
    failed: Vec<Status>,
    flood: usize,
}

/// A bystander who reads and invites in turn, beside a flood.
async fn watch(service: &Service, flood: Option<Flood>, run: u16) -> Result<Seen> {
    service.truncate_log()?;
    let begin = Instant::now();
    let mut attackers = Vec::new();
    for _ in 0..flood.map_or(0, |_| CONNECTIONS) {
        let connection = service.another_connection().await?;
        for n in 0..STREAMS {
            let (connection, people) = (connection.clone(), Arc::clone(&service.people));
            let attacker = flood.map(|flood| flood.calls(connection, people, n, begin + TIME));
            attackers.extend(attacker.map(tokio::spawn));
        }
    }
    let (address, people) = (service.address.clone(), Arc::clone(&service.people));
    let mut seen = tokio::task::spawn_blocking(move || bystander(&address, people, run, begin)).await??;
    for attacker in attackers {
        seen.flood += attacker.await?;
    }
    seen.times.sort_unstable();
    Ok(seen)
}

/// In a runtime of its own: in the one of the flood it would wait behind whatever that sends.
fn bystander(address: &str, people: Arc<People>, run: u16, begin: Instant) -> Result<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let connection = Channel::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?;
        let mut bystander = Caller::new(connection, people);
        let mut seen = Seen { times: Vec::new(), failed: Vec::new(), flood: 0 };
        let methods = [Method::Get, Method::Create].into_iter().cycle();
        for (method, n) in methods.zip(0..) {
            if begin.elapsed() >= TIME {
                break;
            }
            // of other organizations than the flood's
            let asked = Instant::now();
            let outcome = bystander.call(Scenario { method, spread: Spread::Many, run }, n).await;
            seen.times.push(asked.elapsed());
            seen.failed.extend(outcome.err());
            tokio::time::sleep(PAUSE).await;
        }
        Ok(seen)
    })
}

impl Seen {
    fn at(&self, percent: usize) -> Duration {
        self.times[self.times.len() * percent / 100]
    }

    fn show(&self, name: &str, quiet: &Self) {
        let (calls, failed, p50, p99) = (self.times.len(), self.failed.len(), self.at(50), self.at(99));
        let ratio = p99.as_secs_f64() / quiet.at(99).as_secs_f64();
        let flood = self.flood as u64 / TIME.as_secs();
        println!("{name:44} {calls:>6} {failed:>7} {p50:>9.1?} {p99:>9.1?} {ratio:>9.2} {flood:>8}");
        if let Some(status) = self.failed.first() {
            println!("  {:?}: {}", status.code(), status.message());
        }
    }
}
