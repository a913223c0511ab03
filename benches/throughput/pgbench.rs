//! The same with pgbench: one transaction per call, prepared statements, its own client in C.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::database::{ACCOUNTS, Database};
use crate::figures::{Call, Figures};
use crate::{Method, Result, Scenario};

#[derive(Debug)]
pub struct Pgbench {
    program: PathBuf,
    database: Database,
    /// For scripts and logs.
    dir: PathBuf,
}

impl Pgbench {
    /// `None`: a fetched Postgres comes without it.
    pub fn find(bin_dir: &Path, database: Database, dir: &Path) -> Result<Option<Self>> {
        let program = bin_dir.join("pgbench");
        if !program.exists() {
            return Ok(None);
        }
        let dir = dir.join("pgbench");
        fs::create_dir(&dir)?;
        fs::write(dir.join("create.sql"), include_str!("create.sql"))?;
        fs::write(dir.join("accept.sql"), include_str!("accept.sql"))?;
        Ok(Some(Self { program, database, dir }))
    }

    pub async fn measure(&self, scenario: Scenario, seconds: u32) -> Result<Figures> {
        self.database.prepare(scenario).await?;
        let organizations = scenario.organizations();
        let (script, nth) = match scenario.method {
            Method::Create => ("create.sql", 0),
            // offers are numbered from 0, and each is counted up to first
            Method::Accept => ("accept.sql", -1),
        };
        let log = format!("run{}", scenario.run);
        let (place, password) = without_password(&self.database.url)?;
        let output = Command::new(&self.program)
            .current_dir(&self.dir)
            .env("PGPASSWORD", password)
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--log", "--file", script])
            .arg(format!("--log-prefix={log}"))
            .arg(format!("--client={}", scenario.callers))
            .arg(format!("--time={seconds}"))
            .arg(format!("--define=nth={nth}"))
            .arg(format!("--define=run={}", scenario.run))
            .arg(format!("--define=share={}", ACCOUNTS / scenario.callers))
            .arg(format!("--define=first={}", organizations.start()))
            .arg(format!("--define=last={}", organizations.end()))
            .arg(place)
            .stdin(Stdio::null())
            .output()
            .await?;
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() || complained.contains("aborted") {
            return Err(format!("pgbench failed: {complained}").into());
        }
        let calls = self.latencies(&log)?;
        // without the time in which it connects
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse::<f64>().ok());
        let rate = rate.ok_or("pgbench named no rate")?;
        let transactions = f64::from(u32::try_from(calls.len())?);
        Ok(Figures { time: Duration::from_secs_f64(transactions / rate), calls })
    }

    /// From its logs, a line for each transaction: client, number, time in µs, script, end.
    fn latencies(&self, prefix: &str) -> Result<Vec<Call>> {
        let mut calls = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !name.starts_with(&format!("{prefix}.")) {
                continue;
            }
            for line in fs::read_to_string(&path)?.lines() {
                let took = line.split(' ').nth(2).ok_or("a line of pgbench's log is too short")?;
                calls.push(Call { ended: Duration::ZERO, took: Duration::from_micros(took.parse()?) });
            }
            fs::remove_file(path)?;
        }
        Ok(calls)
    }
}

/// Other users can read a command line.
fn without_password(url: &str) -> Result<(String, &str)> {
    let parts = url.split_once('@').and_then(|(front, place)| {
        let (user, password) = front.rsplit_once(':')?;
        Some((format!("{user}@{place}"), password))
    });
    parts.ok_or_else(|| "the database's URL has no password".into())
}
