//! Rolling restarts of three replicas under load, while the code key changes in the two documented steps: no call fails
//! for good that is repeated as published (docs/clients.md), and no email is lost.

mod client;
mod load;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use invitations::dev::mailbox::Script;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::client::{Client, Policy};
use self::load::{Load, Report};
use crate::program::{Program, issuers, quiet_port};
use crate::support::{Database, PATIENCE, Service, values_for};

const REPLICAS: usize = 3;
const SETTINGS: [(&str, &str); 5] = [
    ("endpoint_delay_seconds", "1"),
    ("drain_timeout_seconds", "5"),
    ("mail_poll_interval_seconds", "1"),
    // a machine that compiles beside us is no fault of the service
    ("default_deadline_seconds", "30"),
    ("max_deadline_seconds", "60"),
];

/// How often and how the replicas are restarted.
struct Trial {
    rollouts: usize,
    calls_per_second: usize,
    /// What a replica is told.
    signal: &'static str,
    policy: Policy,
}

/// One replica: what it is started with stays, its key file changes.
struct Replica {
    dir: PathBuf,
    settings: Vec<(&'static str, String)>,
    program: Program,
    /// Whether the machine was too slow for it at any time.
    starved: bool,
}

impl Replica {
    async fn start(service: &Service, number: usize, keys: &[String]) -> Self {
        let dir = service.dir.join(format!("replica-{number}"));
        std::fs::create_dir_all(&dir).unwrap();
        let issuers = issuers(&service.dir);
        let settings = [&SETTINGS[..], &[("issuers", issuers.as_str())]].concat();
        let mut settings = values_for(&service.database.service_url, &dir, service.mailbox.addr(), &settings);
        settings.retain(|(key, _)| *key != "listen");
        settings.push(("listen", quiet_port().to_string()));
        write_keys(&dir, keys);
        let mut program = Program::start(&dir, &settings);
        program.serving().await;
        Self { dir, settings, program, starved: false }
    }

    /// As a Deployment does it, but on the same address: callers have to notice by themselves.
    async fn restart(&mut self, signal: &str, keys: &[String]) {
        write_keys(&self.dir, keys);
        self.program.signal(signal).await;
        let ended = self.program.ended(PATIENCE).await;
        let (status, _) = ended.unwrap_or_else(|| panic!("it does not end: {}", self.program.log()));
        assert!(status.success() || signal == "KILL", "{status}: {}", self.program.log());
        self.look_at_log();
        self.program = Program::start(&self.dir, &self.settings);
        self.program.serving().await;
    }

    /// A database on the same machine that does not answer for seconds is no matter of a rollout.
    fn look_at_log(&mut self) {
        let log = self.program.log();
        self.starved |= ["no connection in time", "no answer in time"].iter().any(|why| log.contains(why));
    }
}

fn write_keys(dir: &std::path::Path, keys: &[String]) {
    std::fs::write(dir.join("code-keys"), keys.concat()).unwrap();
}

fn new_key(number: usize) -> String {
    format!("k{number} {}\n", BASE64_STANDARD.encode(rand::random::<[u8; 32]>()))
}

impl Trial {
    /// Again where the machine had no time for it.
    #[expect(clippy::print_stdout, reason = "what a trial is for")]
    async fn run(self) -> Report {
        // one after the other: each is as many processes as a machine of two cores can carry
        static TURN: Mutex<()> = Mutex::const_new(());
        let _turn = TURN.lock().await;
        let mut report = self.once().await;
        for _ in 0..2 {
            if report.starved {
                println!("once more, this machine was too slow: {report:?}");
                report = self.once().await;
            }
        }
        report
    }

    async fn once(&self) -> Report {
        let database = Database::create().await;
        let mut keys = vec![new_key(0)];
        // Service::around wants one server; the replicas are started beside each other
        let (service, first) = Service::around(database, Script::accept_all(), async |database, dir, smtp| {
            write_keys(dir, &keys);
            let issuers = issuers(dir);
            let settings = [&SETTINGS[..], &[("issuers", issuers.as_str())]].concat();
            let mut program = Program::start(dir, &values_for(&database.service_url, dir, smtp, &settings));
            program.serving().await;
            (program.address, program)
        })
        .await;
        drop(first);
        let mut replicas = Vec::new();
        for number in 0..REPLICAS {
            replicas.push(Replica::start(&service, number, &keys).await);
        }
        let addresses = replicas.iter().map(|replica| replica.program.address).collect::<Vec<SocketAddr>>();
        let client = Client::new(&addresses, self.policy).await;
        let load = Load::prepare(&service, Arc::clone(&client)).await;

        let stop = CancellationToken::new();
        let begin = Instant::now();
        let rollouts = async {
            sleep(Duration::from_secs(1)).await;
            for rollout in 0..self.rollouts {
                // first everywhere behind the others, then, with the next rollout, in front
                match rollout % 2 {
                    0 => keys.push(new_key(rollout + 1)),
                    _ => keys.rotate_right(1),
                }
                for replica in &mut replicas {
                    replica.restart(self.signal, &keys).await;
                }
            }
            sleep(Duration::from_secs(1)).await;
            stop.cancel();
        };
        let (mut report, ()) = tokio::join!(load.run(self.calls_per_second, stop.clone()), rollouts);
        report.seconds = begin.elapsed().as_secs();
        replicas.iter_mut().for_each(Replica::look_at_log);
        report.starved = replicas.iter().any(|replica| replica.starved);
        report.unsent = unsent(service.pool()).await;
        report
    }
}

/// Emails that were given up or are overdue, by state, once nothing waits any more. Those that were overtaken, such as
/// that of an offer which was accepted meanwhile, are dropped, as they should be.
async fn unsent(pool: &PgPool) -> Vec<(String, i64)> {
    let count = async |filter: &str| {
        let count = format!("SELECT state::text, count(*) FROM emails WHERE {filter} GROUP BY 1");
        sqlx::query_as::<_, (String, i64)>(AssertSqlSafe(count)).fetch_all(pool).await.unwrap()
    };
    let idle = async {
        while !count("state = 'QUEUED' AND due_time <= now()").await.is_empty() {
            sleep(Duration::from_millis(200)).await;
        }
    };
    // a lease that a killed replica had takes a minute to end
    timeout(Duration::from_secs(90), idle).await.ok();
    count("state NOT IN ('SENT', 'DROPPED') AND due_time <= now()").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_with_a_changed_key_fails_no_call_and_loses_no_email() {
    let trial = Trial { rollouts: 3, calls_per_second: 25, signal: "TERM", policy: Policy::PUBLISHED };
    trial.run().await.is_good();
}

/// The control: what callers see of replicas that do not drain, where they repeat nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_drain_and_retries_calls_fail() {
    let trial = Trial { rollouts: 1, calls_per_second: 25, signal: "KILL", policy: Policy::NONE };
    let report = trial.run().await;
    assert!(!report.errors.is_empty(), "{report:?}");
}

/// `cargo test --test it twenty_rollouts -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes some minutes, and a machine that does nothing else"]
async fn twenty_rollouts_under_two_hundred_calls_a_second() {
    let trial = Trial { rollouts: 20, calls_per_second: 200, signal: "TERM", policy: Policy::PUBLISHED };
    trial.run().await.is_good();
}
