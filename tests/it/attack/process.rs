//! The service in a process of its own: what it writes to its log, and how much memory it takes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use invitations::config::Settings;
use invitations::dev::mailbox::Script;
use invitations::server::Server;
use invitations::telemetry::{self, LogFormat};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::support::{Database, Service, evidence, settings_for};

/// What the process is told, as JSON.
const TOLD: &str = "ATTACKED_SERVER";

#[derive(Serialize, Deserialize)]
struct Told {
    database_url: String,
    dir: PathBuf,
    smtp: SocketAddr,
    settings: Vec<(String, String)>,
    log_level: String,
}

impl Told {
    fn settings(&self) -> Settings {
        let settings = self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>();
        settings_for(&self.database_url, &self.dir, self.smtp, &settings)
    }
}

/// This program again, with the service and nothing else in it. It ends when this is dropped.
pub struct Process {
    child: Child,
    log: Arc<Mutex<Vec<u8>>>,
    pub address: SocketAddr,
    /// Where its metrics are, if it was told to serve them.
    pub metrics: Option<SocketAddr>,
}

/// How a process differs from the others.
#[derive(Default)]
pub struct Circumstances<'a> {
    pub settings: &'a [(&'a str, &'a str)],
    pub log_level: &'a str,
    /// What `ulimit` is told, if anything.
    pub limit: &'a str,
    /// Of the mail server; `None`: it takes everything.
    pub script: Option<Script>,
}

impl Process {
    /// The whole service, whose server is that process.
    pub async fn serve(mut circumstances: Circumstances<'_>) -> (Service, Self) {
        let script = circumstances.script.take().unwrap_or_else(Script::accept_all);
        let start = async |database: &Database, dir: &Path, smtp| {
            let process = Self::start(database, dir, smtp, &circumstances);
            (process.address, process)
        };
        Service::around(Database::create().await, script, start).await
    }

    fn start(database: &Database, dir: &Path, smtp: SocketAddr, circumstances: &Circumstances<'_>) -> Self {
        let settings = circumstances.settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let told = Told {
            database_url: database.url.clone(),
            dir: dir.to_owned(),
            smtp,
            settings: settings.collect(),
            log_level: circumstances.log_level.to_owned(),
        };
        let limit = Some(circumstances.limit).filter(|limit| !limit.is_empty());
        let limit = limit.map(|limit| format!("ulimit {limit}; ")).unwrap_or_default();
        let script = format!("{limit}exec \"$0\" --exact {}::the_server --ignored --nocapture", path());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
        shell.env(TOLD, serde_json::to_string(&told).unwrap());
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

        let log = Arc::new(Mutex::new(Vec::new()));
        let (mut stderr, kept) = (child.stderr.take().unwrap(), Arc::clone(&log));
        let mut evidence = evidence::log_of(&database.name);
        std::thread::spawn(move || {
            let mut piece = [0; 16 * 1024];
            while let Ok(read @ 1..) = stderr.read(&mut piece) {
                kept.lock().unwrap().extend_from_slice(&piece[..read]);
                evidence.write_all(&piece[..read]).unwrap();
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let addresses = lines.find_map(|line| line.strip_prefix("serves ").map(str::to_owned));
        std::thread::spawn(move || lines.for_each(drop));
        let said = || String::from_utf8_lossy(&log.lock().unwrap()).into_owned();
        let addresses = addresses.unwrap_or_else(|| panic!("the server does not start: {}", said()));
        let mut addresses = addresses.split_whitespace().map(|address| address.parse().unwrap());
        let (address, metrics) = (addresses.next().unwrap(), addresses.next());
        Self { child, log, address, metrics }
    }

    /// All that it has written to its log.
    pub fn log(&self) -> Vec<u8> {
        self.log.lock().unwrap().clone()
    }

    /// Its memory at this moment, in MiB.
    pub fn memory(&self) -> f64 {
        self.resident("VmRSS:")
    }

    /// The most that it has had so far, in MiB.
    pub fn peak(&self) -> f64 {
        self.resident("VmHWM:")
    }

    fn resident(&self, which: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix(which)?.trim().strip_suffix(" kB"));
        resident.unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// Whether it still runs.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

/// Of this module, as the test runner knows it.
fn path() -> &'static str {
    module_path!().split_once("::").unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "no test, but the server of others"]
async fn the_server() {
    // whoever runs all ignored tests has told it nothing
    let Ok(told) = std::env::var(TOLD) else { return };
    let told = serde_json::from_str::<Told>(&told).unwrap();
    telemetry::init(LogFormat::Json, &told.log_level);
    let stop = CancellationToken::new();
    let server = Server::start(&told.settings(), &stop).await.unwrap();
    // after what the test runner has left on its line
    let metrics = server.admin_address().map(|address| format!(" {address}")).unwrap_or_default();
    writeln!(std::io::stdout(), "\nserves {}{metrics}", server.address()).unwrap();
    let parent_is_gone = || std::io::stdin().read_line(&mut String::new());
    tokio::task::spawn_blocking(parent_is_gone).await.unwrap().unwrap();
    stop.cancel();
    server.finished().await.unwrap();
}
