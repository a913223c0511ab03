//! The same with pgbench: one transaction per call, prepared statements, its own client in C.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use sqlx::Executor;
use tokio::process::Command;

use crate::rig::{Database, Method, People, Result, Scenario};

/// Of pgbench's own tables: a million rows.
const SCALE: &str = "10";

pub struct Pgbench {
    program: PathBuf,
    database: Database,
    people: Arc<People>,
    /// Of the database with pgbench's own tables.
    select_url: String,
    /// For scripts.
    dir: PathBuf,
}

impl Pgbench {
    /// `None`: a fetched Postgres comes without it.
    pub async fn prepare(bin_dir: &Path, server: &str, people: Arc<People>, dir: &Path) -> Result<Option<Self>> {
        let program = bin_dir.join("pgbench");
        if !program.exists() {
            return Ok(None);
        }
        let dir = dir.join("pgbench");
        fs::create_dir(&dir)?;
        fs::write(dir.join("create.sql"), include_str!("create.sql"))?;
        fs::write(dir.join("accept.sql"), include_str!("accept.sql"))?;
        let database = Database::create(server, "pgbench").await?;
        let select_url = Database::create_empty(server, "pgbench_select").await?;
        let pgbench = Self { program, database, people, select_url, dir };
        pgbench.run(&pgbench.select_url, &["--initialize", "--quiet", "--scale", SCALE].map(str::to_owned)).await?;
        Ok(Some(pgbench))
    }

    /// Transactions a second; `None`: there is no script for it.
    pub async fn measure(
        &self,
        scenario: Scenario,
        clients: u32,
        rows: Option<u32>,
        seconds: u32,
    ) -> Result<Option<f64>> {
        let (url, what) = match scenario.method {
            Method::Create => (&self.database.url, script(scenario, "create.sql", 0, 0)),
            // offers are numbered from 0, and each is counted up to first
            Method::Accept => {
                let rows = rows.unwrap_or_default();
                self.database.prepare(scenario, rows, &self.people).await?;
                // its plans are as good as they can be, the service's are what they are
                self.database.pool.execute("ANALYZE").await?;
                (&self.database.url, script(scenario, "accept.sql", -1, rows / clients))
            }
            // rows by their key, which is what the two are held against
            Method::Get | Method::List => (&self.select_url, vec!["--builtin=select-only".to_owned()]),
            Method::Request | Method::Offer => return Ok(None),
        };
        let mut arguments = ["--no-vacuum", "--protocol=prepared", "--jobs=2"].map(str::to_owned).to_vec();
        arguments.push(format!("--client={clients}"));
        arguments.extend(what);
        // the time in which it connects is part of it, and not of the rate
        for seconds in [seconds + 1, seconds + 10] {
            arguments.push(format!("--time={seconds}"));
            let said = self.run(url, &arguments).await?;
            let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
            if rate.is_some() {
                return Ok(rate);
            }
            arguments.pop();
        }
        Err("pgbench had no time for a transaction".into())
    }

    async fn run(&self, url: &str, arguments: &[String]) -> Result<String> {
        let (place, password) = without_password(url)?;
        let output = Command::new(&self.program)
            .current_dir(&self.dir)
            .env("PGPASSWORD", password)
            .args(arguments)
            .arg(place)
            .stdin(Stdio::null())
            .output()
            .await?;
        let complained = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || complained.contains("aborted") {
            return Err(format!("pgbench failed: {complained}").into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn script(scenario: Scenario, file: &str, nth: i32, share: u32) -> Vec<String> {
    let organizations = scenario.organizations();
    vec![
        format!("--file={file}"),
        format!("--define=nth={nth}"),
        format!("--define=run={}", scenario.run),
        format!("--define=share={share}"),
        format!("--define=first={}", organizations.start()),
        format!("--define=last={}", organizations.end()),
    ]
}

/// Other users can read a command line.
fn without_password(url: &str) -> Result<(String, &str)> {
    let parts = url.split_once('@').and_then(|(front, place)| {
        let (user, password) = front.rsplit_once(':')?;
        Some((format!("{user}@{place}"), password))
    });
    parts.ok_or_else(|| "the database's URL has no password".into())
}
