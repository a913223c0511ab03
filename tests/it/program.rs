//! The real program, `invitations serve`, as a deployment runs it.

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use invitations::dev::issuer;
use invitations::grpc::probe;
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::support::{Channel, PATIENCE, Person, Service, evidence};

/// `serve` trusts no dev issuer, but one with its key.
const ISSUER: &str = "https://id.example";

/// A running program. Dropping it kills it.
pub struct Program {
    pub address: SocketAddr,
    child: Child,
    log: PathBuf,
}

/// The setting `issuers`: people of one issuer, whose key is in that folder.
pub fn issuers(dir: &Path) -> String {
    let mut entry = serde_json::to_value(&issuer::entries(dir).unwrap()[0]).unwrap();
    entry["issuer"] = json!(ISSUER);
    json!([entry]).to_string()
}

/// Somebody who signs in there with a verified address.
pub fn person(service: &Service, channel: &Channel, name: &str) -> Person {
    let email = format!("{name}@example.com");
    let claims = json!({"iss": ISSUER, "sub": name, "email": email, "email_verified": true});
    Person::new(channel, service.signed(Some("at+jwt"), &claims))
}

/// A free port that is given to nobody who asks for any: those are higher.
pub fn quiet_port() -> SocketAddr {
    let mut ports = std::iter::repeat_with(|| SocketAddr::from(([127, 0, 0, 1], rand::random_range(10_000..30_000))));
    ports.find(|address| TcpListener::bind(address).is_ok()).unwrap()
}

impl Program {
    /// Starts it with these settings, on a port of its own where they name none.
    pub fn start(dir: &Path, settings: &[(&str, String)]) -> Self {
        let listen = settings.iter().find(|(key, value)| *key == "listen" && !value.ends_with(":0"));
        let address = listen.map_or_else(quiet_port, |(_, value)| value.parse().unwrap());
        let others = settings.iter().filter(|(key, _)| *key != "listen");
        let variable = |(key, value): &(&str, String)| (format!("INVITATIONS_{}", key.to_uppercase()), value.clone());
        let log = dir.join(format!("log-{}", rand::random::<u32>()));
        let child = Command::new(env!("CARGO_BIN_EXE_invitations"))
            .arg("serve")
            .env_clear()
            .envs(others.map(variable))
            .env("INVITATIONS_LISTEN", address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { address, child, log }
    }

    /// Waits until health says SERVING.
    pub async fn serving(&mut self) {
        let begin = Instant::now();
        while probe::serving(&self.address.to_string(), String::new(), None).await.is_err() {
            let has_ended = self.child.try_wait().unwrap();
            assert!(has_ended.is_none() && begin.elapsed() < 3 * PATIENCE, "it does not start: {}", self.log());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sends a signal, such as TERM.
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it still runs").to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().await.unwrap().success());
    }

    /// How it ended, and after what time; `None`: it has not within the limit.
    pub async fn ended(&mut self, within: Duration) -> Option<(ExitStatus, Duration)> {
        let begin = Instant::now();
        let status = timeout(within, self.child.wait()).await.ok()?.unwrap();
        Some((status, begin.elapsed()))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let name = format!("program-{}", self.log.file_name().unwrap().display());
        let kept = std::fs::read(&self.log).and_then(|log| evidence::log_of(&name).write_all(&log));
        kept.ok();
    }
}
