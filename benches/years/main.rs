//! Whether callers feel it when years are thrown away: the same calls without and with a sweep at work on 10⁶ old rows.
//!
//! `cargo bench --bench years` takes about 4 minutes. A ratio is what counts; all share the machine.

#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

#[expect(dead_code, unused_imports, reason = "of what the benchmarks share, this one needs a part")]
#[path = "../rig/mod.rs"]
mod rig;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use invitations::dev::postgres::{self, Durability};
use sqlx::{Executor, PgPool};

use rig::{Database, Method, People, Result, Scenario, Service, Spread};

/// Old rows of all kinds together.
const ROWS: i64 = 1_000_000;
const CALLERS: u32 = 16;
/// Calls are made for so long without a sweep, and at most with one.
const QUIET: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_mins(2);
const RETENTION: [(&str, &str); 5] = [
    ("sweep_interval_seconds", "1"),
    ("emails_retention_days", "30"),
    ("invitation_addresses_retention_days", "30"),
    ("invitations_retention_days", "400"),
    ("events_retention_days", "30"),
];

#[tokio::main]
async fn main() -> Result<()> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("years");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    let postgres = postgres::start(&dir, Durability::Durable).await?;
    let people = Arc::new(People::new(&dir)?);
    // takes connections and says nothing: the mail workers wait
    let silence = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let smtp = silence.local_addr()?;
    let database = Database::create(postgres.url(), "years").await?;
    database.pool.execute(sqlx::raw_sql(include_str!("fill.sql"))).await?;
    sqlx::query("CALL fill($1)").bind(ROWS).execute(&database.pool).await?;
    database.pool.execute("VACUUM (ANALYZE)").await?;
    database.pool.execute("CHECKPOINT").await?;

    let still = [("sweep_interval_seconds", "3600"), ("mail_poll_interval_seconds", "3600")];
    let service = Service::start(database, &dir, Arc::clone(&people), smtp, &still).await?;
    let pool = service.database.pool.clone();
    // counted on both sides, as counting is work too
    let quiet = measure(&service, 1, async |begin| Ok(left(&pool).await? > 0 && begin.elapsed() < QUIET)).await?;
    let database = service.stop().await?;

    let before = left(&database.pool).await?;
    let settings = [&RETENTION[..], &[("mail_poll_interval_seconds", "3600")]].concat();
    let service = Service::start(database, &dir, people, smtp, &settings).await?;
    let pool = service.database.pool.clone();
    let begin = Instant::now();
    let busy = measure(&service, 2, async |begin| Ok(begin.elapsed() < LONGEST && left(&pool).await? > 0)).await?;
    let (took, after) = (begin.elapsed(), left(&pool).await?);
    drop(service.stop().await?);
    postgres.stop().await;
    fs::remove_dir_all(&dir)?;

    let rate = f64::from(i32::try_from(before - after)?) / took.as_secs_f64();
    println!("{} of {before} old rows went in {took:.1?}: {rate:.0} a second", before - after);
    println!("{:24} {:>8} {:>10} {:>10}", "CreateInvitation", "calls/s", "p50", "p99");
    for (name, figures) in [("without a sweep", &quiet), ("with a sweep", &busy)] {
        println!("{name:24} {:>8.0} {:>10.1?} {:>10.1?}", figures.rate, figures.p50, figures.p99);
    }
    let ratio = |of: fn(&Figures) -> Duration| of(&busy).as_secs_f64() / of(&quiet).as_secs_f64();
    println!("{:24} {:>8.2} {:>10.2} {:>10.2}", "ratio", busy.rate / quiet.rate, ratio(|f| f.p50), ratio(|f| f.p99));
    Ok(())
}

struct Figures {
    rate: f64,
    p50: Duration,
    p99: Duration,
}

/// Callers that invite in many organizations, as long as `goes_on` says so; it is asked every other second.
async fn measure(service: &Service, run: u16, goes_on: impl AsyncFn(Instant) -> Result<bool>) -> Result<Figures> {
    let scenario = Scenario { method: Method::Create, spread: Spread::Many, run };
    let begin = Instant::now();
    let stop = tokio_util::sync::CancellationToken::new();
    let mut callers = Vec::new();
    for (mut caller, first) in service.callers(CALLERS as usize).into_iter().zip(0..) {
        let stop = stop.clone();
        callers.push(tokio::spawn(async move {
            let mut times = Vec::new();
            let mut n = first;
            while !stop.is_cancelled() {
                let begin = Instant::now();
                caller.call(scenario, n).await?;
                times.push(begin.elapsed());
                n += CALLERS;
            }
            Ok::<_, tonic::Status>(times)
        }));
    }
    while goes_on(begin).await? {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    stop.cancel();
    let took = begin.elapsed();
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.await??);
    }
    times.sort_unstable();
    let rate = f64::from(u32::try_from(times.len())?) / took.as_secs_f64();
    Ok(Figures { rate, p50: times[times.len() / 2], p99: times[times.len() * 99 / 100] })
}

/// Old rows that are still there.
async fn left(pool: &PgPool) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT old_rows()").fetch_one(pool).await?)
}
