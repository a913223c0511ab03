//! What a measurement costs, from `/proc`: processor time and memory of the service and of Postgres.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::process::Child;

use crate::figures::count;
use crate::rig::Result;

/// `USER_HZ`: the same on every Linux machine that Postgres runs on.
const TICK: Duration = Duration::from_millis(10);

/// Whose processes are watched.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    service: u32,
    postgres: u32,
}

/// Processor time so far.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    service: Duration,
    postgres: Duration,
}

/// Of one measurement; memory in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub service: Duration,
    pub postgres: Duration,
    /// The most that was resident at a time.
    pub service_memory: f64,
    /// At the end: what is shared counts once.
    pub postgres_memory: f64,
}

/// The same of one call: processor time in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct PerCall {
    pub service: f64,
    pub postgres: f64,
    pub service_memory: f64,
    pub postgres_memory: f64,
}

impl Cost {
    pub fn per(self, calls: usize) -> PerCall {
        let a_call = |time: Duration| time.as_secs_f64() * 1e3 / count(calls);
        PerCall {
            service: a_call(self.service),
            postgres: a_call(self.postgres),
            service_memory: self.service_memory,
            postgres_memory: self.postgres_memory,
        }
    }
}

impl Meter {
    /// `None` where there is no `/proc`, or Postgres is not ours to look at.
    pub fn new(service: &Child, dir: &Path) -> Option<Self> {
        let pid_file = fs::read_to_string(dir.join("postgres/postmaster.pid")).ok()?;
        let postgres = pid_file.lines().next()?.parse().ok()?;
        let meter = Self { service: service.id()?, postgres };
        meter.read().is_ok().then_some(meter)
    }

    /// To be called before the measurement.
    pub fn read(self) -> Result<Reading> {
        // begins the peak anew; see proc(5)
        let _ = fs::write(format!("/proc/{}/clear_refs", self.service), "5");
        self.processor()
    }

    /// What it cost since then.
    pub fn since(self, before: Reading) -> Result<Cost> {
        let now = self.processor()?;
        let proportional = |pid| kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:").unwrap_or(0.0);
        let children = children(self.postgres)?;
        Ok(Cost {
            service: now.service.saturating_sub(before.service),
            postgres: now.postgres.saturating_sub(before.postgres),
            service_memory: kib(&format!("/proc/{}/status", self.service), "VmHWM:")? / 1024.0,
            postgres_memory: children.into_iter().chain([self.postgres]).map(proportional).sum::<f64>() / 1024.0,
        })
    }

    fn processor(self) -> Result<Reading> {
        // a child that ends in between counts with its parent from then on
        let ended = stat(self.postgres)?;
        let alive = children(self.postgres)?.into_iter().filter_map(|pid| stat(pid).ok()).map(|stat| stat.own);
        Ok(Reading { service: stat(self.service)?.own, postgres: ended.own + ended.children + alive.sum::<Duration>() })
    }
}

struct Stat {
    parent: u32,
    own: Duration,
    /// Of children that have ended.
    children: Duration,
}

/// The name, in brackets, may hold anything; the numbers follow it.
fn stat(pid: u32) -> Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = text.rsplit_once(')').map(|(_, fields)| fields.split_whitespace().collect::<Vec<_>>());
    let fields = fields.unwrap_or_default();
    let ticks = |at: usize| -> Result<u32> { Ok(fields.get(at).ok_or("a line of /proc is too short")?.parse()?) };
    Ok(Stat { parent: ticks(1)?, own: TICK * (ticks(11)? + ticks(12)?), children: TICK * (ticks(13)? + ticks(14)?) })
}

fn children(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // many have ended before they are looked at
        if stat(pid).is_ok_and(|stat| stat.parent == parent) {
            found.push(pid);
        }
    }
    Ok(found)
}

fn kib(path: &str, name: &str) -> Result<f64> {
    let text = fs::read_to_string(path)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    value.ok_or_else(|| format!("{path} has no {name}").into())
}
