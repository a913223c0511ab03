//! How many calls a second the service carries out, and what they cost, next to pgbench with the same rows on the same
//! server.
//!
//! `cargo bench --bench throughput` takes 20 minutes and writes the table and the picture in `README.md` beside this file;
//! with `-- --quick` it takes two and only shows them.

#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

mod callers;
mod cost;
mod figures;
mod machine;
mod outbox;
mod overload;
mod pgbench;
mod plot;
mod report;
#[path = "../rig/mod.rs"]
mod rig;
mod rounds;
mod sink;
mod size;
mod statements;
mod steps;
mod table;
mod targets;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use invitations::dev::postgres::{self, Durability, Postgres};

use cost::Meter;
use figures::Round;
use machine::Machine;
use pgbench::Pgbench;
use report::Results;
use rig::{Database, Method, People, Result, Scenario, Service, Spread};
use rounds::{Bench, Plan, Row};
use size::Size;

/// No mail server: emails stay in the outbox, as pgbench leaves them.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip_while(|argument| argument != overload::ASK_HEALTH);
    if let Some(address) = arguments.nth(1) {
        return overload::ask_health(address).await;
    }
    let begin = Instant::now();
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let size = if is_quick { Size::QUICK } else { Size::FULL };
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("throughput");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    let postgres = postgres::start(&dir, Durability::Durable).await?;
    let machine = Machine::look(postgres.url()).await?;
    println!("{machine}");
    let people = Arc::new(People::new(&dir)?);
    if let Some(calls) = std::env::args().skip_while(|argument| argument != "--only").nth(1) {
        profile(&calls, postgres.url(), &dir, &people).await?;
        postgres.stop().await;
        return Ok(());
    }

    if std::env::args().any(|argument| argument == "--overload") {
        overload::measure(&postgres, &dir, &people).await?;
        postgres.stop().await;
        return Ok(());
    }

    let (rows, half_rate) = compare(&postgres, &dir, &people, &size).await?;
    let server = postgres.url();
    let results = Results {
        rows,
        half_rate,
        steps: steps::measure(server, &dir, &people, &size).await?,
        drains: outbox::measure(server, &dir, &people, &size).await?,
        empty: write_into_empty_tables(server, &dir, &people, size.decay).await?,
        statements: statements::count(server, &dir, &people).await?,
    };
    for line in table::lines(&results, &size) {
        println!("{line}");
    }
    for target in targets::targets(&results) {
        println!("{:<62} {}, target {}: {}", target.figure, table::dash(target.value), target.bound, target.met());
    }
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/throughput");
    let place = if is_quick { &dir } else { &place };
    report::write(place, &results, &machine, &size)?;
    println!("{} after {:?}", place.join("README.md").display(), begin.elapsed());
    postgres.stop().await;
    Ok(())
}

/// Each method for each number of callers; and CreateInvitation at half of the best rate.
async fn compare(postgres: &Postgres, dir: &Path, people: &Arc<People>, size: &Size) -> Result<(Vec<Row>, Vec<Round>)> {
    let server = postgres.url();
    let database = Database::create(server, "service").await?;
    let service = Service::start(database, dir, Arc::clone(people), NOWHERE, &[]).await?;
    let pgbench = Pgbench::prepare(postgres.bin_dir(), server, Arc::clone(people), dir).await?;
    if pgbench.is_none() {
        println!("no pgbench in {}: only our own figures", postgres.bin_dir().display());
    }
    let meter = Meter::new(&service.process, dir);
    let mut bench = Bench { service: &service, pgbench: pgbench.as_ref(), meter, size, run: 0 };
    let plan = |method, spread, clients| Plan { method, spread, callers: size.callers, clients };
    let (writers, readers): (&[u32], &[u32]) = (&[1, 8, 16, 64], &[1, 8, 64]);

    // connections and plans are made, which no row should pay for
    let warm_up = bench.scenario(Method::Create, Spread::Many);
    callers::closed_loop(&service, None, warm_up, 64, None, Duration::from_millis(500)).await?;
    let (many, one) = (Spread::Many, Spread::One);
    let mut rows = bench.compare(&[plan(Method::Create, many, writers), plan(Method::Create, one, writers)]).await?;
    let half_rate = bench.at_rate(report::peak(&rows).unwrap_or_default() / 2.0).await?;
    rows.extend(bench.compare(&[plan(Method::Request, many, &[]), plan(Method::Offer, many, &[])]).await?);
    rows.extend(bench.compare(&[plan(Method::Accept, many, writers), plan(Method::Accept, one, writers)]).await?);
    service.database.prepare_reads(people).await?;
    rows.extend(bench.compare(&[plan(Method::Get, many, readers), plan(Method::List, many, readers)]).await?);
    service.stop().await?;
    Ok((rows, half_rate))
}

/// Some calls alone, by 64 callers for 10 s each and without pgbench, for a profiler.
async fn profile(calls: &str, server: &str, dir: &Path, people: &Arc<People>) -> Result<()> {
    let size = Size { callers: &[64], seconds: 10, rounds: 1, ..Size::QUICK };
    if calls.contains("steps") {
        println!("{:?}", steps::measure(server, dir, people, &size).await?);
    }
    let database = Database::create(server, "service").await?;
    let service = Service::start(database, dir, Arc::clone(people), NOWHERE, &[]).await?;
    service.database.prepare_reads(people).await?;
    let meter = Meter::new(&service.process, dir);
    let mut bench = Bench { service: &service, pgbench: None, meter, size: &size, run: 0 };
    for method in [Method::Create, Method::Request, Method::Offer, Method::Accept, Method::Get, Method::List] {
        if calls.split(',').any(|call| method.name().starts_with(call)) {
            let plan = Plan { method, spread: Spread::Many, callers: size.callers, clients: &[] };
            let rows = bench.compare(&[plan]).await?;
            println!("{:?}", rows.iter().map(|row| row.ours.clone()).collect::<Vec<_>>());
        }
    }
    service.stop().await?;
    Ok(())
}

/// Whether plans that were made while the tables were empty stay good: Creates a second at first and at last.
async fn write_into_empty_tables(url: &str, dir: &Path, people: &Arc<People>, time: Duration) -> Result<(f64, f64)> {
    let database = Database::create(url, "empty").await?;
    let service = Service::start(database, dir, Arc::clone(people), NOWHERE, &[]).await?;
    let scenario = Scenario { method: Method::Create, spread: Spread::Many, run: 0 };
    let figures = callers::closed_loop(&service, None, scenario, 64, None, time).await?;
    let part = time.mul_f64(0.3);
    service.stop().await?;
    Ok((figures.rate_between(Duration::ZERO, part), figures.rate_between(time.saturating_sub(part), time)))
}
