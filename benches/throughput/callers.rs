//! Callers in a closed loop, who wait for each answer, and calls at times of their own, which wait for none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tonic::Status;

use crate::cost::Meter;
use crate::figures::{Call, Figures};
use crate::rig::{Caller, Result, Scenario, Service};

/// What one or several callers have seen.
#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    failed: Vec<Status>,
}

/// Every caller makes one call after the other, at least one, until the time is over or all `rows` are used.
pub async fn closed_loop(
    service: &Service,
    meter: Option<Meter>,
    scenario: Scenario,
    callers: u32,
    rows: Option<u32>,
    time: Duration,
) -> Result<Figures> {
    service.truncate_log()?;
    let next = Arc::new(AtomicU32::new(0));
    let reading = meter.map(Meter::read).transpose()?;
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for mut caller in service.callers(callers.try_into()?) {
        let next = Arc::clone(&next);
        tasks.spawn(async move {
            let mut seen = Seen::default();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if rows.is_some_and(|rows| n >= rows) {
                    return seen;
                }
                seen.add(&mut caller, scenario, n, begin, Instant::now()).await;
                if begin.elapsed() >= time {
                    return seen;
                }
            }
        });
    }
    let mut seen = Seen::default();
    while let Some(one) = tasks.join_next().await {
        seen.join(one?);
    }
    let time = begin.elapsed();
    let cost = meter.zip(reading).map(|(meter, reading)| meter.since(reading)).transpose()?;
    seen.figures(scenario, time, cost)
}

/// Calls begin at random, `rate` a second, however long the ones before take. A latency counts from the time at which the
/// call was to begin.
pub async fn open_loop(service: &Service, scenario: Scenario, rate: f64, time: Duration) -> Result<Figures> {
    service.truncate_log()?;
    let runtime = tokio::runtime::Handle::current();
    // handed out in turn, as connections of a gateway
    let callers = service.callers(64);
    let begin = Instant::now();
    // the runtime's own clock has steps of a millisecond
    let started = tokio::task::spawn_blocking(move || {
        let (mut due, mut started) = (Duration::ZERO, Vec::new());
        for (n, mut caller) in (0..).zip(callers.into_iter().cycle()) {
            due += Duration::from_secs_f64(-(1.0 - rand::random::<f64>()).ln() / rate);
            if due >= time {
                break;
            }
            std::thread::sleep((begin + due).saturating_duration_since(Instant::now()));
            started.push(runtime.spawn(async move {
                let mut seen = Seen::default();
                seen.add(&mut caller, scenario, n, begin, begin + due).await;
                seen
            }));
        }
        started
    });
    let mut seen = Seen::default();
    for one in started.await? {
        seen.join(one.await?);
    }
    seen.figures(scenario, begin.elapsed(), None)
}

impl Seen {
    async fn add(&mut self, caller: &mut Caller, scenario: Scenario, n: u32, begin: Instant, due: Instant) {
        match caller.call(scenario, n).await {
            Ok(()) => self.calls.push(Call { ended: begin.elapsed(), took: due.elapsed() }),
            Err(status) => self.failed.push(status),
        }
    }

    fn join(&mut self, mut other: Self) {
        self.calls.append(&mut other.calls);
        self.failed.append(&mut other.failed);
    }

    fn figures(self, scenario: Scenario, time: Duration, cost: Option<crate::cost::Cost>) -> Result<Figures> {
        if let Some(status) = self.failed.last() {
            let (failed, made) = (self.failed.len(), self.calls.len());
            let what = format!("{failed} calls failed and {made} did not in {scenario:?}, at last with {status}");
            // a machine that is too busy refuses some
            if made == 0 {
                return Err(what.into());
            }
            println!("{what}");
        }
        Ok(Figures { time, calls: self.calls, failed: self.failed.len(), cost })
    }
}
