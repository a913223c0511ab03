//! Where and with what it was measured.

use std::fmt;
use std::fs;
use std::process::Command;

use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;

use crate::rig::Result;

pub struct Machine {
    processor: String,
    cores: usize,
    /// GiB.
    memory: u64,
    system: String,
    postgres: String,
    compiler: String,
    commit: String,
}

impl Machine {
    pub async fn look(server: &str) -> Result<Self> {
        let mut connection = PgConnection::connect(server).await?;
        let postgres = sqlx::query_scalar::<_, String>("SHOW server_version").fetch_one(&mut connection).await?;
        let field = |path: &str, name: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix(':')).map(str::trim);
            value.unwrap_or("unknown").to_owned()
        };
        let memory = field("/proc/meminfo", "MemTotal").split(' ').next().and_then(|kib| kib.parse::<u64>().ok());
        Ok(Self {
            processor: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism()?.get(),
            memory: memory.unwrap_or_default() / (1 << 20),
            // what follows tells of the distribution
            system: output("uname", &["-sr"]).split('-').next().unwrap_or_default().to_owned(),
            postgres: postgres.split(' ').next().unwrap_or_default().to_owned(),
            compiler: output("rustc", &["--version"]),
            commit: output("git", &["describe", "--always", "--dirty"]),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, memory, system, postgres, compiler, commit } = self;
        let (version, date) = (env!("CARGO_PKG_VERSION"), OffsetDateTime::now_utc().date());
        write!(
            f,
            "`cargo bench --bench throughput` on {date}: {processor}, {cores} cores, {memory} GiB, {system}; PostgreSQL \
             {postgres}, {compiler}, invitations {version} at {commit}."
        )
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    output.map_or_else(|| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
