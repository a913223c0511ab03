//! How fast an outbox drains, beside postfix's `smtp-source` at the same mail server; and what calls are left meanwhile.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::Executor;
use tokio::process::Command;
use tokio::time::sleep;

use crate::callers::closed_loop;
use crate::cost::{Meter, PerCall};
use crate::figures::count;
use crate::rig::{Database, Method, ORGANIZATIONS, People, Result, Scenario, Service, Spread};
use crate::sink::{Email, Sink};
use crate::size::Size;

/// Connections of `smtp-source`: the default of `mail_workers`.
const SESSIONS: &str = "4";

/// Emails a second.
#[derive(Debug, Default)]
pub struct Drains {
    pub ours: Vec<f64>,
    /// Empty where it is not installed.
    pub smtp_source: Vec<f64>,
    /// Of an email.
    pub costs: Vec<PerCall>,
    /// Creates and emails a second, at the same time.
    pub meanwhile: (f64, f64),
}

/// What has come in since the last measurement began.
#[derive(Clone, Copy, Default)]
struct Arrivals {
    emails: usize,
    bytes: usize,
    first: Option<Instant>,
    last: Option<Instant>,
}

type Counter = Arc<Mutex<Arrivals>>;

pub async fn measure(server: &str, dir: &Path, people: &Arc<People>, size: &Size) -> Result<Drains> {
    let counter = Counter::default();
    let sink = Sink::start({
        let counter = Arc::clone(&counter);
        move |email| counter.lock().unwrap_or_else(PoisonError::into_inner).add(&email)
    });
    let sink = sink.await?;
    let database = Database::create(server, "outbox").await?;
    database.pool.execute(sqlx::raw_sql(include_str!("outbox.sql"))).await?;
    let service = Service::start(database, dir, Arc::clone(people), sink.address, &[]).await?;
    let meter = Meter::new(&service.process, dir);
    let mut drains = Drains::default();
    for run in 0..size.rounds {
        let (arrivals, cost) = drain(&service, meter, &counter, run, size).await?;
        drains.ours.push(arrivals.rate());
        drains.costs.extend(cost);
        if let Some(rate) = smtp_source(&sink, &counter, arrivals.bytes / arrivals.emails.max(1), size.emails).await? {
            drains.smtp_source.push(rate);
        }
    }
    let scenario = Scenario { method: Method::Create, spread: Spread::Many, run: u16::MAX };
    take(&counter);
    let creates = closed_loop(&service, None, scenario, 64, None, Duration::from_secs(size.seconds.into())).await?;
    let emails = count(take(&counter).emails) / creates.time.as_secs_f64();
    drains.meanwhile = (creates.rate(), emails);
    service.stop().await?;
    Ok(drains)
}

/// From the first email to the last one, or to the end of the time.
async fn drain(
    service: &Service,
    meter: Option<Meter>,
    counter: &Counter,
    run: u32,
    size: &Size,
) -> Result<(Arrivals, Option<PerCall>)> {
    service.truncate_log()?;
    take(counter);
    sqlx::query("SELECT seed_outbox($1, $2, $3)")
        .bind(i64::from(run))
        .bind(i64::from(ORGANIZATIONS - 1))
        .bind(i64::from(size.emails))
        .execute(&service.database.pool)
        .await?;
    // filling is no part of it
    let reading = meter.map(Meter::read).transpose()?;
    let begin = Instant::now();
    while peek(counter).emails < size.emails as usize && begin.elapsed() < size.drain {
        sleep(Duration::from_millis(5)).await;
    }
    let cost = meter.zip(reading).map(|(meter, reading)| meter.since(reading)).transpose()?;
    let arrivals = peek(counter);
    // what was too slow is not for the next round; what is held comes to an end
    let rest = "UPDATE emails SET state = 'DROPPED' WHERE state IN ('QUEUED', 'RETRYING') AND due_time <= now()";
    service.database.pool.execute(rest).await?;
    sleep(Duration::from_millis(500)).await;
    let cost = cost.map(|cost| cost.per(arrivals.emails));
    Ok((arrivals, cost))
}

/// `None`: it is not installed.
async fn smtp_source(sink: &Sink, counter: &Counter, bytes: usize, emails: u32) -> Result<Option<f64>> {
    take(counter);
    let (emails, bytes) = (emails.to_string(), bytes.to_string());
    let sent = Command::new("smtp-source")
        // each connection sends many
        .args(["-d", "-s", SESSIONS, "-m", &emails, "-l", &bytes, "-f", "from@example.com", "-t", "to@example.com"])
        .arg(format!("inet:{}", sink.address))
        .stdin(Stdio::null())
        .status()
        .await;
    match sent {
        Ok(status) if status.success() => Ok(Some(take(counter).rate())),
        Ok(status) => Err(format!("smtp-source failed: {status}").into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn peek(counter: &Counter) -> Arrivals {
    *counter.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take(counter: &Counter) -> Arrivals {
    std::mem::take(&mut *counter.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Arrivals {
    fn add(&mut self, email: &Email) {
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.emails += 1;
        self.bytes += email.text.len();
    }

    fn rate(&self) -> f64 {
        let time = self.first.zip(self.last).map_or(Duration::ZERO, |(first, last)| last - first);
        count(self.emails.saturating_sub(1)) / time.as_secs_f64()
    }
}
