//! SIGTERM while something is away: the real program ends within its time, and says what it has cut off.

use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use invitations::dev::mailbox::{Action, Script, Step};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::own_postgres::{OwnPostgres, Wire};
use crate::program::{Program, issuers, person};
use crate::support::{Database, PATIENCE, Person, Service, scratch, values_for};

const SETTINGS: [(&str, &str); 4] = [
    ("endpoint_delay_seconds", "1"),
    ("drain_timeout_seconds", "2"),
    ("sweep_interval_seconds", "1"),
    ("mail_poll_interval_seconds", "1"),
];
/// As `invitations::server::end_within` has it for these settings, and a second for the process itself on a busy machine.
const IN_TIME: Duration = Duration::from_secs(1 + 2 + 1 + 10 + 1);
/// What comes after the drain has this long.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// The program with an account that owns an organization.
async fn start(database: Database, script: Script) -> (Service, Program, Person) {
    let (service, program) = Service::around(database, script, async |database, dir, smtp| {
        let issuers = issuers(dir);
        let settings = [&SETTINGS[..], &[("issuers", issuers.as_str())]].concat();
        let mut program = Program::start(dir, &values_for(&database.service_url, dir, smtp, &settings));
        program.serving().await;
        (program.address, program)
    })
    .await;
    let owner = person(&service, &service.channel, "olga");
    owner.create_account("olga").await.unwrap();
    owner.create_organization("acme").await.unwrap();
    (service, program, owner)
}

/// Ends it by SIGTERM, and says how long that took.
async fn terminated(program: &mut Program) -> Duration {
    program.signal("TERM").await;
    let ended = program.ended(IN_TIME).await;
    let (status, took) = ended.unwrap_or_else(|| panic!("it has not ended: {}", program.log()));
    assert!(status.success(), "{status}: {}", program.log());
    assert!(program.log().contains("\"stopping\""), "{}", program.log());
    took
}

/// Calls and the program's own work meet the database that is away; some seconds later it is told to stop.
async fn stop_without_its_database(program: &mut Program, owner: &Person) {
    let emails = (0..4).map(|n| format!("guest-{n}@example.com")).collect::<Vec<_>>();
    let calls = emails.iter().map(|email| owner.invite("acme", email));
    let calls = async { futures_util::future::join_all(calls).await };
    let stopped = async {
        sleep(Duration::from_secs(3)).await;
        terminated(program).await
    };
    let (answers, took) = tokio::join!(timeout(2 * PATIENCE, calls), stopped);
    let answers = answers.expect("calls end with the program");
    assert!(answers.iter().all(Result::is_err), "the control: the database was away");
    // what was still waiting for it then is named
    let log = program.log();
    let cut_off = log.lines().any(|line| line.contains("\"cut_off\":\""));
    assert_eq!(cut_off, took >= FINISH_WITHIN, "after {took:?}: {log}");
}

#[tokio::test]
async fn it_ends_while_postgres_is_stopped() {
    let (mut postgres, database) = OwnPostgres::start("away_stopped").await;
    let (_service, mut program, owner) = start(database, Script::accept_all()).await;
    postgres.end("INT").await;
    stop_without_its_database(&mut program, &owner).await;
}

#[tokio::test]
async fn it_ends_while_postgres_is_frozen() {
    let (postgres, database) = OwnPostgres::start("away_frozen").await;
    let (_service, mut program, owner) = start(database, Script::accept_all()).await;
    let _frozen = postgres.freeze();
    stop_without_its_database(&mut program, &owner).await;
}

#[tokio::test]
async fn it_ends_while_postgres_is_unreachable() {
    let mut database = Database::create().await;
    let wire = Wire::to(crate::operating::place(&database.service_url)).await;
    database.service_url = crate::operating::at(&database.service_url, wire.address);
    let (_service, mut program, owner) = start(database, Script::accept_all()).await;
    wire.swallow(true);
    stop_without_its_database(&mut program, &owner).await;
}

/// Before it has answered a single call.
#[tokio::test]
async fn it_ends_while_it_starts_on_a_database_that_says_nothing() {
    let dir = scratch("away_start");
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://hub:secret@{}/hub", silent.local_addr().unwrap());
    let issuers = issuers(&dir);
    let values = values_for(&url, &dir, SocketAddr::from(([127, 0, 0, 1], 25)), &[("issuers", &issuers)]);
    let mut program = Program::start(&dir, &values);
    timeout(PATIENCE, silent.accept()).await.expect("it connects").unwrap();
    program.signal("TERM").await;
    let (status, _) = program.ended(Duration::from_secs(2)).await.expect("it has begun nothing");
    assert!(status.success(), "{status}: {}", program.log());
}

/// The server has the whole email, and does not say whether it takes it: RFC 5321 lets it take ten minutes.
#[tokio::test]
async fn it_ends_while_the_mail_server_is_frozen() {
    let stalls = Script::new(|step| match step {
        Step::Message(_) => Action::Stall,
        _ => Action::Proceed,
    });
    let (service, mut program, owner) = start(Database::create().await, stalls).await;
    owner.invite("acme", "anna@example.com").await.unwrap();
    let leased = "SELECT count(*) FROM emails WHERE lease_until > now()";
    let is_leased = async {
        while sqlx::query_scalar::<_, i64>(leased).fetch_one(service.pool()).await.unwrap() == 0 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, is_leased).await.expect("an email is being sent");
    let took = terminated(&mut program).await;
    // the control: it is the limit that has ended it, which says what it has cut off
    assert!(took >= FINISH_WITHIN, "{took:?}");
    assert!(program.log().contains("\"cut_off\":\"mail\""), "{}", program.log());
}

#[tokio::test]
async fn it_ends_while_an_issuer_is_frozen() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let keys = format!("http://{}/keys", silent.local_addr().unwrap());
    let (service, mut program) =
        Service::around(Database::create().await, Script::accept_all(), async |database, dir, smtp| {
            let mut entries = serde_json::from_str::<serde_json::Value>(&issuers(dir)).unwrap();
            let mut dead = entries[0].clone();
            dead["id"] = "dead".into();
            dead["issuer"] = "https://dead.example".into();
            dead["jwks_file"] = serde_json::Value::Null;
            dead["jwks_url"] = keys.into();
            entries.as_array_mut().unwrap().push(dead);
            let issuers = entries.to_string();
            let settings = [&SETTINGS[..], &[("issuers", issuers.as_str())]].concat();
            let mut program = Program::start(dir, &values_for(&database.service_url, dir, smtp, &settings));
            program.serving().await;
            (program.address, program)
        })
        .await;
    timeout(PATIENCE, silent.accept()).await.expect("it is asked for its keys").unwrap();
    let claims = serde_json::json!({"iss": "https://dead.example", "sub": "anna"});
    let anna = Person::new(&service.channel, service.signed(Some("at+jwt"), &claims));
    let waits = anna.create_account("anna");
    let (answer, took) = tokio::join!(waits, terminated(&mut program));
    answer.unwrap_err();
    assert!(took < IN_TIME, "{took:?}");
}

/// A file that is opened and never read, as a name that is looked up in vain: nobody can stop the thread that waits.
struct Stuck(std::path::PathBuf);

impl Stuck {
    fn in_place_of(path: &Path) -> Self {
        std::fs::remove_file(path).ok();
        assert!(Command::new("mkfifo").args(["-m", "600"]).arg(path).status().unwrap().success());
        Self(path.to_owned())
    }

    /// Lets whoever waits go on.
    fn release(&self) {
        const O_NONBLOCK: i32 = 0o4000;
        std::fs::OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(&self.0).ok();
    }
}

#[tokio::test]
async fn it_ends_while_a_thread_is_stuck() {
    let (service, mut program, _owner) = start(Database::create().await, Script::accept_all()).await;
    let _stuck = Stuck::in_place_of(&service.dir.join("issuer.jwks"));
    // a key that is not known, so the file is read again
    let claims = serde_json::json!({"iss": "https://id.example", "sub": "anna"});
    let anna = Person::new(&service.channel, service.signed_by_nobody(&claims));
    assert_eq!(crate::support::reason(anna.create_account("anna").await), "ISSUER_UNAVAILABLE");
    let took = terminated(&mut program).await;
    assert!(took < FINISH_WITHIN, "nothing was cut off: {took:?}");
}

/// The control: a runtime that is dropped, as at the end of `#[tokio::main]`, waits for that thread.
#[test]
fn a_dropped_runtime_waits_for_a_stuck_thread() {
    let stuck = Stuck::in_place_of(&scratch("away_runtime").join("file"));
    let path = stuck.0.clone();
    let dropping = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { timeout(Duration::from_millis(200), tokio::fs::read(path)).await.unwrap_err() });
        let begin = Instant::now();
        drop(runtime);
        begin.elapsed()
    });
    std::thread::sleep(Duration::from_secs(2));
    assert!(!dropping.is_finished());
    while !dropping.is_finished() {
        stuck.release();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(dropping.join().unwrap() >= Duration::from_secs(1));
}
