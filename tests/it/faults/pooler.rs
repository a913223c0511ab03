//! The same through PgBouncer, the real one: that of the machine, or the one that `INVITATIONS_PGBOUNCER` names. It hands
//! sessions on, so it takes no settings for them, and before 1.21 it mixes up the prepared statements of its clients.

use std::fmt::Write;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use invitations::store::pool::Engine;
use invitations::store::roles;
use sqlx::Connection;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::{LONG, SHORT, TURN, Trial, Way, say};
use crate::operating::{at, place};
use crate::own_postgres::OwnPostgres;
use crate::program::{Program, issuers, quiet_port};
use crate::support::{PATIENCE, scratch, values_for};

#[derive(Clone)]
pub struct Pooler {
    program: String,
    /// Such as 1.25.
    version: (u32, u32),
    /// `transaction` or `session`.
    mode: &'static str,
    keeps_statements: bool,
}

/// Dropping it ends it.
pub struct Running {
    pub address: SocketAddr,
    _process: Child,
    dir: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.dir).ok();
    }
}

impl Pooler {
    /// In the mode that it can serve us in; `None`: there is none, which is said.
    fn find(test: &str) -> Option<Self> {
        let program = std::env::var("INVITATIONS_PGBOUNCER").unwrap_or_else(|_| "pgbouncer".to_owned());
        // Debian has it where only root looks
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let asked = std::process::Command::new(&program).arg("--version").env("PATH", path).output();
        let Ok(asked) = asked else {
            say(&format!("skipped: {test}: there is no {program}"));
            return None;
        };
        let said = String::from_utf8(asked.stdout).unwrap();
        let mut numbers = said.split_whitespace().nth(1).unwrap().split('.').map(|part| part.parse::<u32>().unwrap());
        let version = (numbers.next().unwrap(), numbers.next().unwrap());
        let keeps_statements = version >= (1, 21);
        let mode = if keeps_statements { "transaction" } else { "session" };
        say(&format!("{test}: PgBouncer {}.{} in {mode} mode", version.0, version.1));
        Some(Self { program, version, mode, keeps_statements })
    }

    pub async fn start(&self, server: SocketAddr) -> Running {
        let address = quiet_port();
        // a user of its own has to find it
        let dir = std::env::temp_dir().join(format!("invitations-pgbouncer-{}", address.port()));
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let (settings, users) = (dir.join("pgbouncer.ini"), dir.join("users"));
        fs::write(&users, "\"service\" \"service\"\n").unwrap();
        let mut text = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\npool_mode = {}\ndefault_pool_size = 40\nmax_client_conn = 200\n\
             server_login_retry = 1\nquery_wait_timeout = 5\n",
            server.ip(),
            server.port(),
            address.ip(),
            address.port(),
            users.display(),
            self.mode,
        );
        if self.version >= (1, 21) {
            let most = if self.keeps_statements { 200 } else { 0 };
            writeln!(text, "max_prepared_statements = {most}").unwrap();
        }
        fs::write(&settings, text).unwrap();
        let mut command = Command::new(&self.program);
        if fs::metadata(&dir).unwrap().uid() == 0 {
            command.args(["-u", "nobody"]);
        }
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let log = dir.join("log");
        let process = command
            .arg(&settings)
            .env("PATH", path)
            .stdout(File::create(dir.join("out")).unwrap())
            .stderr(File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            assert!(begin.elapsed() < PATIENCE, "it does not start: {}", fs::read_to_string(&log).unwrap());
            sleep(Duration::from_millis(20)).await;
        }
        Running { address, _process: process, dir }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "bash .ci/run faults: with nothing beside it"]
async fn restarts_through_pgbouncer_lose_nothing() {
    let Some(pooler) = Pooler::find("restarts_through_pgbouncer_lose_nothing") else { return };
    Trial { immediate: 1, fast: 1, way: Way::Pooler(pooler), ..SHORT }.run("faults_pooler").await;
}

/// `scripts/faults`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes some minutes, and a machine that does nothing else"]
async fn long_pgbouncer() {
    let Some(pooler) = Pooler::find("long_pgbouncer") else { return };
    let way = || Way::Pooler(pooler.clone());
    Trial { immediate: 20, fast: 20, way: way(), ..LONG }.run("faults_pooler_restarts").await;
    Trial { stalls: 3, way: way(), ..LONG }.run("faults_pooler_stalls").await;
}

/// The control: a pooler that mixes up statements is seen, and said by name, and what the role lacks, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "bash .ci/run faults: with nothing beside it"]
async fn what_a_pooler_does_not_do_is_said() {
    let Some(pooler) = Pooler::find("what_a_pooler_does_not_do_is_said") else { return };
    let _turn = TURN.lock().await;
    let pooler = Pooler { mode: "transaction", keeps_statements: false, ..pooler };
    let (_postgres, database) = OwnPostgres::start("faults_mixed_up").await;
    let running = pooler.start(place(&database.service_url)).await;
    let dir = scratch("faults_mixed_up-service");
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 25));
    let url = at(&database.service_url, running.address);
    let program = Program::start(&dir, &values_for(&url, &dir, nowhere, &[("issuers", &issuers(&dir))]));
    let begin = Instant::now();
    for line in ["refuses the settings of sessions", "plan_cache_mode", "lock_timeout", "mixes up prepared statements"]
    {
        while !program.log().contains(line) {
            assert!(begin.elapsed() < 2 * PATIENCE, "{line}: {}", program.log());
            sleep(Duration::from_millis(50)).await;
        }
    }
    // the neighbour: there is nothing to say about a role that has them all
    let missing = async || {
        let mut connection = sqlx::PgConnection::connect(&database.service_url).await.unwrap();
        roles::missing_settings(&mut connection, Engine::Single).await.unwrap()
    };
    assert_eq!(missing().await.len(), 8);
    assert!(roles::limit(&database.url, "service", Engine::Single).await.unwrap());
    assert_eq!(missing().await, [""; 0]);
}
