//! Which processors a process may use: so that callers take nothing from the service but what it costs to serve them.

use std::path::Path;
use std::process::Command;

use super::Result;

/// Keeps a process, with its threads and those that it starts, on some processors.
pub fn pin(process: u32, processors: &str) -> Result<()> {
    let pinned = Command::new("taskset").args(["-a", "-c", "-p", processors, &process.to_string()]).output()?;
    if pinned.status.success() { Ok(()) } else { Err("taskset: the processors cannot be chosen".into()) }
}

/// The one that forks the others.
pub fn postgres_process(dir: &Path) -> Result<u32> {
    let file = std::fs::read_to_string(dir.join("postgres/postmaster.pid"))?;
    Ok(file.lines().next().unwrap_or_default().trim().parse()?)
}
