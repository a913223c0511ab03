//! What becomes of calls where five times as many come as can be carried out, beside the peak rate in the same run.
//!
//! The service and Postgres have one processor and the callers have the others, so that a flood takes nothing from them
//! but what it costs to refuse it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use invitations::dev::postgres::Postgres;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::NOWHERE;
use crate::callers::closed_loop;
use crate::rig::pin::{pin, postgres_process};
use crate::rig::{Caller, Database, Method, People, Result, Scenario, Service, Spread};

const CALLERS: u32 = 64;
const PEAK: Duration = Duration::from_secs(10);
const FLOOD: Duration = Duration::from_secs(30);
const TIMES: f64 = 5.0;
/// Enough for all streams that the flood wants: what waits for a stream waits at the caller's.
const CONNECTIONS: usize = 64;
/// The argument that makes this program ask for health, followed by the address.
pub const ASK_HEALTH: &str = "--ask-health";
/// How often health is asked.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// One call: how it ended, after what time, and whether the flood still went on.
type Seen = (Code, Duration, bool);

/// Shows what became of the calls.
pub async fn measure(postgres: &Postgres, dir: &Path, people: &Arc<People>) -> Result<()> {
    pin(postgres_process(dir)?, "0")?;
    pin(std::process::id(), "1-63")?;
    let database = Database::create(postgres.url(), "overload").await?;
    database.prepare_reads(people).await?;
    let settings = [
        ("invitations_per_caller_limit", "0"),
        ("invitations_per_organization_limit", "0"),
        ("open_invitations_limit", "0"),
    ];
    let mut service = Service::start(database, dir, Arc::clone(people), NOWHERE, &settings).await?;
    pin(service.process.id().unwrap_or_default(), "0")?;
    service.connect(CONNECTIONS).await?;
    for (run, method) in [(1, Method::Create), (3, Method::Get), (5, Method::List)] {
        let scenario = |run| Scenario { method, spread: Spread::Many, run };
        let peak = closed_loop(&service, None, scenario(run), CALLERS, None, PEAK).await?.rate();
        let (seen, health) =
            tokio::try_join!(flooded(&service, scenario(run + 1), peak * TIMES), health(&service.address))?;
        show(method, peak, &seen, &health);
    }
    service.stop().await?;
    Ok(())
}

/// Calls that begin at random times, so many a second, whatever becomes of the ones before.
async fn flooded(service: &Service, scenario: Scenario, rate: f64) -> Result<Vec<Seen>> {
    service.truncate_log()?;
    let callers = service.callers(CONNECTIONS);
    let runtime = tokio::runtime::Handle::current();
    let begin = Instant::now();
    // the runtime's own clock has steps of a millisecond
    let started = tokio::task::spawn_blocking(move || {
        let (mut due, mut started) = (Duration::ZERO, Vec::new());
        for (n, caller) in (0..).zip(callers.into_iter().cycle()) {
            due += Duration::from_secs_f64(-(1.0 - rand::random::<f64>()).ln() / rate);
            if due >= FLOOD {
                break;
            }
            std::thread::sleep((begin + due).saturating_duration_since(Instant::now()));
            started.push(runtime.spawn(one_call(caller, scenario, n, begin + FLOOD)));
        }
        started
    });
    let mut seen = Vec::new();
    for call in started.await? {
        seen.push(call.await?);
    }
    Ok(seen)
}

async fn one_call(mut caller: Caller, scenario: Scenario, n: u32, end: Instant) -> Seen {
    let began = Instant::now();
    let code = caller.call(scenario, n).await.err().map_or(Code::Ok, |status| status.code());
    (code, began.elapsed(), Instant::now() < end)
}

/// How long health took to answer in each case, asked by a process of its own: this one is busy with the flood.
async fn health(address: &str) -> Result<Vec<Duration>> {
    let asked = tokio::process::Command::new(std::env::current_exe()?).args([ASK_HEALTH, address]).output().await?;
    let lines = String::from_utf8(asked.stdout)?;
    lines.lines().map(|line| Ok(Duration::from_micros(line.parse()?))).collect()
}

/// What that process does, for as long as a flood lasts: microseconds, one on each line.
pub async fn ask_health(address: String) -> Result<()> {
    let mut client = HealthClient::new(Channel::from_shared(format!("http://{address}"))?.connect().await?);
    let begin = Instant::now();
    while begin.elapsed() < FLOOD {
        let asked = Instant::now();
        client.check(Request::new(HealthCheckRequest::default())).await?;
        println!("{}", asked.elapsed().as_micros());
        tokio::time::sleep(HEARTBEAT).await;
    }
    Ok(())
}

fn show(method: Method, peak: f64, seen: &[Seen], health: &[Duration]) {
    println!("{}: peak {peak:.0}/s, then {} calls in {FLOOD:?}", method.name(), seen.len());
    let mut by_code = BTreeMap::<String, (u32, Vec<Duration>)>::new();
    for (code, took, in_time) in seen {
        let of_code = by_code.entry(format!("{code:?}")).or_default();
        of_code.0 += u32::from(*in_time);
        of_code.1.push(*took);
    }
    for (code, (in_time, mut took)) in by_code {
        let rate = f64::from(in_time) / FLOOD.as_secs_f64();
        println!("  {code:20} {rate:8.0}/s, {:.2} of the peak, {}", rate / peak, quantiles(&mut took));
    }
    println!("  {:20} {}", "health", quantiles(&mut health.to_vec()));
}

fn quantiles(took: &mut [Duration]) -> String {
    took.sort_unstable();
    let at = |percent: usize| took.get(took.len() * percent / 100).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3);
    format!("p50 {:.1} ms, p99 {:.1} ms", at(50), at(99))
}
