//! Whether calls cost the same, however many invitations there are: each at 10⁴ and at a large number of them.
//!
//! `cargo bench --bench scale` takes about 8 minutes with 10⁶, and `cargo bench --bench scale -- 10000000` half an hour and
//! 25 GB. A ratio of 1.2 is the most that it may be.

#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

mod costs;
#[expect(dead_code, reason = "of what the benchmarks share, this one needs a part")]
#[path = "../rig/mod.rs"]
mod rig;
mod side;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use invitations::dev::postgres::{self, Durability};

use costs::Cost;
use rig::{Method, People, Result, Spread};

const SMALL: u64 = 10_000;
const LARGE: u64 = 1_000_000;
/// The most that the large side may cost, as a part of the small one.
const ALLOWED: f64 = 1.2;
const CALLS: [(Method, Spread); 7] = [
    (Method::Create, Spread::Many),
    (Method::Create, Spread::One),
    (Method::Request, Spread::Many),
    (Method::Offer, Spread::Many),
    (Method::Accept, Spread::Many),
    (Method::Get, Spread::Many),
    (Method::List, Spread::Many),
];

/// Of which every organization has a page on both sides.
const FILTERS: [&str; 3] = [
    "state = INVITED",
    "inviter = accounts/owner-1 AND state = INVITED",
    "create_time > \"2020-01-01T00:00:00Z\" AND state = INVITED",
];

#[tokio::main]
async fn main() -> Result<()> {
    let begin = Instant::now();
    let large = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(LARGE);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scale");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    let postgres = postgres::start(&dir, Durability::Durable).await?;
    let people = Arc::new(People::new(&dir)?);
    // takes connections and says nothing: the mail workers wait, and ask nothing of the database
    let silence = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let smtp = silence.local_addr()?;
    let sides = [
        side::start(postgres.url(), &dir, &people, "small", SMALL, smtp).await?,
        side::start(postgres.url(), &dir, &people, "large", large, smtp).await?,
    ];
    println!("filled with {SMALL} and {large} invitations after {:?}", begin.elapsed());
    println!("{:40} {:>10} {:>10} {:>6} {:>9} {:>9} {:>6}", "", "small", "large", "ratio", "pages", "pages", "ratio");
    for (run, (method, spread)) in (1..).zip(CALLS) {
        show(&costs::of_call(&sides, method, spread, run).await?);
    }
    // without the workers, who would take the email away
    let [small, large] = sides;
    let sides = [small.stop().await?, large.stop().await?];
    show(&costs::of_claim(&sides).await?);
    for filter in FILTERS {
        show(&costs::of_search(&sides, filter).await?);
    }
    show(&costs::of_sweep(&sides).await?);
    drop(sides);
    postgres.stop().await;
    fs::remove_dir_all(&dir)?;
    println!("after {:?}", begin.elapsed());
    Ok(())
}

fn show(cost: &Cost) {
    let [small, large] = cost.time;
    let ratio = large.as_secs_f64() / small.as_secs_f64();
    let [few, many] = cost.pages;
    let micros = |time: Duration| format!("{:.0} µs", time.as_secs_f64() * 1e6);
    println!(
        "{:40} {:>10} {:>10} {ratio:>6.2} {few:>9.1} {many:>9.1} {:>6.2} {}",
        cost.what,
        micros(small),
        micros(large),
        many / few,
        if ratio <= ALLOWED { "ok" } else { "NOT ok" }
    );
}
