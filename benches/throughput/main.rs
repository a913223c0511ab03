//! How many invitations a second are created and accepted, next to pgbench with the same rows on the same server.
//!
//! `cargo bench --bench throughput` takes under four minutes, with `-- --quick` about 20 s. What came out is in the
//! `README.md` beside this file.

#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

mod database;
mod figures;
mod pgbench;
mod service;
mod statements;

use std::error::Error;
use std::fmt;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use invitations::dev::postgres::{self, Durability};

use database::{Database, ORGANIZATIONS};
use figures::{Figures, Row};
use pgbench::Pgbench;
use service::Service;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Create,
    Accept,
}

/// Which organizations it is called for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spread {
    Many,
    One,
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub method: Method,
    pub spread: Spread,
    pub callers: u32,
    /// Each measurement has another number, which names its rows.
    pub run: u32,
}

impl Scenario {
    /// The numbers of the organizations.
    pub fn organizations(self) -> RangeInclusive<u32> {
        match self.spread {
            Spread::One => 0..=0,
            Spread::Many => 1..=ORGANIZATIONS - 1,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Create => "CreateInvitation",
            Method::Accept => "AcceptInvitation",
        };
        let spread = match self.spread {
            Spread::Many => "many organizations",
            Spread::One => "one organization",
        };
        write!(f, "{method}, {spread}, {} callers", self.callers)
    }
}

/// How much is measured.
struct Size {
    callers: &'static [u32],
    rounds: u32,
    /// Of one measurement; pgbench knows whole seconds only.
    seconds: u32,
    /// Of the writing into empty tables.
    decay: Duration,
}

const FULL: Size = Size { callers: &[1, 8, 64], rounds: 3, seconds: 2, decay: Duration::from_secs(10) };
const QUICK: Size = Size { callers: &[1, 64], rounds: 1, seconds: 1, decay: Duration::from_secs(3) };

#[tokio::main]
async fn main() -> Result<()> {
    let size = if std::env::args().any(|argument| argument == "--quick") { QUICK } else { FULL };
    // the service writes a line for each call, as it does in production; nobody reads them here
    tracing_subscriber::fmt().json().flatten_event(true).with_writer(std::io::sink).init();
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("throughput");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    let server = postgres::start(&dir, Durability::Durable).await?;

    compare(&server, &dir, &size).await?;
    write_into_empty_tables(server.url(), &dir, size.decay).await?;
    send_meanwhile(server.url(), &dir, size.seconds).await?;
    statements::count(server.url(), &dir).await?;

    server.stop().await;
    Ok(())
}

/// Service and pgbench in turn, so that what else this machine does falls on both.
async fn compare(server: &postgres::Postgres, dir: &Path, size: &Size) -> Result<()> {
    let ours = Database::create(server.url(), "service").await?;
    let theirs = Database::create(server.url(), "pgbench").await?;
    let service = Service::start(ours, dir, None).await?;
    let pgbench = Pgbench::find(server.bin_dir(), theirs, dir)?;
    if pgbench.is_none() {
        println!("no pgbench in {}: only our own figures", server.bin_dir().display());
    }
    let seconds = size.seconds;
    let mut run = 0;
    let mut next_run = || {
        run += 1;
        run
    };
    // connections and plans are made, which no row should pay for
    let warm_up = Scenario { method: Method::Create, spread: Spread::Many, callers: 64, run: next_run() };
    service.measure(warm_up, Duration::from_millis(500)).await?;

    println!("{}", Row::HEADER);
    for method in [Method::Create, Method::Accept] {
        for spread in [Spread::Many, Spread::One] {
            for &callers in size.callers {
                let mut row = Row::new(Scenario { method, spread, callers, run: 0 }.to_string());
                for _ in 0..size.rounds {
                    let scenario = Scenario { method, spread, callers, run: next_run() };
                    let ours = service.measure(scenario, Duration::from_secs(seconds.into())).await?;
                    let theirs = match &pgbench {
                        Some(pgbench) => Some(pgbench.measure(scenario, seconds).await?),
                        None => None,
                    };
                    row.add(ours, theirs);
                }
                println!("{row}");
            }
        }
    }
    service.stop().await
}

/// Whether plans that were made while the tables were empty stay good.
async fn write_into_empty_tables(url: &str, dir: &Path, time: Duration) -> Result<()> {
    let service = Service::start(Database::create(url, "empty").await?, dir, None).await?;
    let scenario = Scenario { method: Method::Create, spread: Spread::Many, callers: 64, run: 0 };
    let figures = service.measure(scenario, time).await?;
    let part = time.mul_f64(0.3);
    let (first, last) =
        (figures.rate_between(Duration::ZERO, part), figures.rate_between(time.saturating_sub(part), time));
    println!(
        "writing into empty tables for {time:?}: {first:.0}/s in the first {part:?}, {last:.0}/s in the last, ratio {:.2}",
        last / first
    );
    service.stop().await
}

/// The table is without email: pgbench sends none either.
async fn send_meanwhile(url: &str, dir: &Path, seconds: u32) -> Result<()> {
    use invitations::dev::mailbox::{Mailbox, Script};
    let mailbox = Mailbox::start(([127, 0, 0, 1], 0).into(), &dir.join("mailbox"), Script::accept_all()).await?;
    let service = Service::start(Database::create(url, "mail").await?, dir, Some(mailbox.addr())).await?;
    let time = Duration::from_secs(seconds.into());
    let figures: Figures =
        service.measure(Scenario { method: Method::Create, spread: Spread::Many, callers: 64, run: 0 }, time).await?;
    let sent = mailbox.received().len();
    println!(
        "64 callers, many organizations, with a mail server: {:.0}/s, {sent} emails sent meanwhile",
        figures.rate()
    );
    service.stop().await
}
