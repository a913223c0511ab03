//! The log of the service while emails are sent, fail and are tried again, and while calls fail: never an address, a
//! code, a token, or what the mail server said. The service is a process of its own, because a log is the process's.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use invitations::dev::issuer::{Provider, user_token};
use invitations::dev::mailbox::{Action, Mailbox, Script, Step};
use invitations::server::Server;
use invitations::telemetry::{self, LogFormat};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use super::{identity, until};
use crate::support::{Channel, Database, PATIENCE, Person, evidence, named, reason, scratch, settings_for};

const URL: &str = "TEST_SERVICE_DATABASE_URL";
const DIR: &str = "TEST_SERVICE_DIR";
const SMTP: &str = "TEST_SERVICE_SMTP";
const LEVEL: &str = "TEST_SERVICE_LOG_LEVEL";

/// A service in a process of its own, on a database and a mail server of the test's.
struct Process {
    child: tokio::process::Child,
    address: String,
}

impl Process {
    async fn start(database: &Database, dir: &Path, smtp: SocketAddr, level: &str) -> Self {
        let (_, module) = module_path!().split_once("::").unwrap();
        let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("{module}::the_service"), "--ignored", "--nocapture"]);
        command.env(URL, &database.url).env(DIR, dir).env(SMTP, smtp.to_string()).env(LEVEL, level);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listens = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("the service starts");
                if let Some((_, address)) = line.split_once("listens on ") {
                    return address.to_owned();
                }
            }
        };
        let address = tokio::time::timeout(PATIENCE, listens).await.unwrap();
        Self { child, address }
    }

    async fn channel(&self) -> Channel {
        Channel::open(Endpoint::from_shared(format!("http://{}", self.address)).unwrap()).await.unwrap()
    }

    /// Lets it end in peace; everything that it has logged.
    async fn log(mut self) -> String {
        drop(self.child.stdin.take());
        let output = tokio::time::timeout(PATIENCE, self.child.wait_with_output()).await.unwrap().unwrap();
        String::from_utf8(output.stderr).unwrap()
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the test below reads where it listens")]
#[ignore = "no test, but the service of the one below"]
async fn the_service() {
    let given = |name: &str| std::env::var(name).expect("the test below starts this");
    telemetry::init(LogFormat::Json, &given(LEVEL));
    let settings = settings_for(&given(URL), &PathBuf::from(given(DIR)), given(SMTP).parse().unwrap(), &[]);
    let stop = CancellationToken::new();
    let server = Server::start(&settings, &stop).await.unwrap();
    println!("\nlistens on {}", server.address());
    let parent_is_gone = || std::io::stdin().read_line(&mut String::new());
    tokio::task::spawn_blocking(parent_is_gone).await.unwrap().unwrap();
    stop.cancel();
    server.finished().await.unwrap();
}

#[tokio::test]
async fn neither_address_nor_code_nor_token_nor_the_servers_words_are_logged() {
    for level in ["info", "trace"] {
        let database = Database::create().await;
        let dir = scratch(&format!("{}_log", database.name));
        let script = Script::new(|step| match step {
            Step::Stored(email) if email.recipients == ["ina@example.com"] => {
                Action::Reply("550 ina@example.com canary")
            }
            Step::Stored(email) if email.recipients == ["otto@example.com"] => {
                Action::Reply("451 otto@example.com canary")
            }
            _ => Action::Proceed,
        });
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let mailbox = Mailbox::start(loopback, &dir.join("mailbox"), script).await.unwrap();
        let process = Process::start(&database, &dir, mailbox.addr(), level).await;
        let channel = process.channel().await;
        let person = |name: &str| {
            let email = format!("{name}@example.com");
            Person::new(&channel, user_token(&dir, name, Some(&email), true, Provider::Github).unwrap())
        };
        let (olga, anna) = (person("olga"), person("anna"));
        let is_there = |outcome: Result<_, tonic::Status>| outcome.is_ok() || reason(outcome) == "ACCOUNT_EXISTS";
        until(async || is_there(olga.create_account("olga").await)).await;
        anna.create_account("anna").await.unwrap();
        olga.create_organization("acme").await.unwrap();
        for name in ["anna", "ina", "otto"] {
            olga.invite("acme", &format!("{name}@example.com")).await.unwrap();
        }
        let states = async || -> Vec<String> {
            let states = "SELECT DISTINCT state::text FROM emails WHERE kind = 'ACCOUNT_INVITATION' AND lease_until IS NULL ORDER BY 1";
            sqlx::query_scalar(states).fetch_all(&database.pool).await.unwrap()
        };
        until(async || states().await == ["FAILED", "RETRYING", "SENT"]).await;
        let code = identity(mailbox.received().iter().find(|email| email.recipients == ["anna@example.com"]).unwrap())
            .1
            .unwrap();
        anna.request_access(&code).await.unwrap();
        assert_eq!(reason(anna.request_access(&format!("{code}X")).await), "CODE_MISTYPED");
        assert_eq!(reason(olga.invite("acme", "zoe@example.com\0").await), "FIELD_INVALID");
        // a fault in the writer, whose lines belong to the call that it was for
        let poison = "ALTER TABLE emails ADD CONSTRAINT emails_poison CHECK (recipient NOT LIKE 'zoe@%')";
        sqlx::query(poison).execute(&database.pool).await.unwrap();
        let fault = olga.invite("acme", "zoe@example.com").await;
        let call = named(&fault, "call_id");
        assert_eq!(reason(fault), "INTERNAL_ERROR");

        let log = process.log().await;
        evidence::log_of(&database.name).write_all(log.as_bytes()).unwrap();
        for line in ["email sent", "email will be tried again", "email failed for good", "call ended"] {
            assert!(log.contains(line) || level == "info" && line == "email sent", "no line says {line} at {level}");
        }
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect::<Vec<_>>();
        let of_writer = lines.iter().find(|line| line["message"] == "a command cannot be carried out").unwrap();
        assert_eq!(of_writer["span"]["call_id"], call.as_str());
        let plain = code.replace('-', "");
        let secrets = ["example.com", "acme.example", "canary", &code, &plain, &olga.token, &anna.token];
        for (secret, which) in
            secrets.iter().zip(["an address", "an address", "an answer", "a code", "a code", "a token", "a token"])
        {
            assert!(!log.contains(*secret), "{which} is in the log at {level}");
        }
    }
}
