//! The service as a process of its own, started by `serve` with settings as a deployment's: the limits are the defaults.

use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use invitations::grpc::probe;
use tokio::process::{Child, Command};
use tonic::transport::Channel;

use super::{Caller, Database, People, Result};

/// Connections that the callers share; gateways have a few.
const CONNECTIONS: usize = 8;
/// Looks for an answer of the health service, 50 ms apart.
const START_TRIES: u32 = 400;

pub struct Service {
    pub database: Database,
    pub people: Arc<People>,
    pub process: Child,
    log: PathBuf,
    /// Where it listens.
    pub address: String,
    connections: Vec<Channel>,
}

impl Service {
    /// `settings` are those that a benchmark needs beside the ones without a default, by their names.
    pub async fn start(
        database: Database,
        dir: &Path,
        people: Arc<People>,
        smtp: SocketAddr,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.to_string();
        let keys = dir.join("keys");
        fs::write(&keys, People::key_file())?;
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o600))?;
        let log = dir.join("service.log");
        let (keys, smtp_host, smtp_port) = (keys.display().to_string(), smtp.ip().to_string(), smtp.port().to_string());
        let required = [
            ("listen", address.as_str()),
            ("database_url", &database.url),
            ("public_base_url", "https://hub.example"),
            ("code_keys_file", &keys),
            ("address_key_file", &keys),
            ("issuers", &people.issuers),
            ("smtp_host", &smtp_host),
            ("smtp_port", &smtp_port),
            ("smtp_tls", "none"),
            ("mail_from", "IPMHub <invitations@hub.example>"),
            // what benchmarks count are the emails of invitations
            ("unverified_notifications_limit", "0"),
            // nobody has to forget this process
            ("endpoint_delay_seconds", "0"),
            ("drain_timeout_seconds", "2"),
        ];
        let variable =
            |(name, value): &(&str, &str)| (format!("INVITATIONS_{}", name.to_uppercase()), value.to_string());
        let mut process = Command::new(env!("CARGO_BIN_EXE_invitations"))
            .arg("serve")
            .env_clear()
            .envs(required.iter().chain(settings).map(variable))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // a line for each call, as in production
            .stderr(OpenOptions::new().create(true).append(true).open(&log)?)
            .kill_on_drop(true)
            .spawn()?;
        let mut tries = 1;
        while let Err(problem) = probe::serving(&address, String::new(), None).await {
            if process.try_wait()?.is_some() || tries == START_TRIES {
                return Err(format!("the service did not start: {problem}\n{}", fs::read_to_string(&log)?).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            tries += 1;
        }
        let mut service = Self { database, people, process, log, address, connections: Vec::new() };
        service.connect(CONNECTIONS).await?;
        Ok(service)
    }

    /// Gives the callers so many connections.
    pub async fn connect(&mut self, count: usize) -> Result<()> {
        while self.connections.len() < count {
            let connection = self.another_connection().await?;
            self.connections.push(connection);
        }
        Ok(())
    }

    /// One that nobody else uses.
    pub async fn another_connection(&self) -> Result<Channel> {
        Ok(Channel::from_shared(format!("http://{}", self.address))?.tcp_nodelay(true).connect().await?)
    }

    /// Callers, spread over the connections.
    pub fn callers(&self, count: usize) -> Vec<Caller> {
        (0..count).map(|n| Caller::new(self.connection(n), Arc::clone(&self.people))).collect()
    }

    /// One of the connections.
    pub fn connection(&self, n: usize) -> Channel {
        self.connections[n % self.connections.len()].clone()
    }

    /// Throws the log away: a long benchmark would fill the disk.
    pub fn truncate_log(&self) -> Result<()> {
        Ok(OpenOptions::new().write(true).open(&self.log)?.set_len(0)?)
    }

    /// By SIGTERM; its database stays.
    pub async fn stop(mut self) -> Result<Database> {
        drop(self.connections);
        Command::new("kill").arg(self.process.id().unwrap_or_default().to_string()).status().await?;
        self.process.wait().await?;
        Ok(self.database)
    }
}
