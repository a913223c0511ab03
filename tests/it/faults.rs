//! Postgres restarts, crashes, is demoted and stands still under load: what is acknowledged stays, callers are told to try
//! again and nothing else, and the service goes on by itself.
//!
//! The short ones are a step of the gate of their own, with nothing beside them. The figures are those of the long runs:
//! scripts/faults.

mod load;
mod pooler;

use std::sync::Arc;
use std::time::{Duration, Instant};

use invitations::dev::mailbox::Script;
use invitations::store::pool::Engine;
use invitations::store::roles;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use self::load::{Call, Load, counts};
use self::pooler::{Pooler, Running};
use crate::operating::{at, place};
use crate::own_postgres::{OwnPostgres, Wire};
use crate::program::{Program, issuers};
use crate::support::{Database, PATIENCE, Service, channel_to, values_for};

/// Each is as many processes as a machine of two cores can carry.
static TURN: Mutex<()> = Mutex::const_new(());

/// What callers are told while Postgres is away, and nothing else.
const TRY_AGAIN: [Code; 2] = [Code::Unavailable, Code::DeadlineExceeded];

/// How often each fault, and how long what comes after it may take.
struct Trial {
    calls_per_second: u32,
    deadline: Duration,
    /// A crash each.
    immediate: usize,
    fast: usize,
    demotions: usize,
    stalls: usize,
    stall: Duration,
    way: Way,
    /// From the moment when Postgres takes connections until a change and a read succeed.
    first_success_within: Duration,
    /// From the moment when new sessions may write.
    writes_within: Duration,
    /// How much longer than its deadline a call may take.
    answers_within: Duration,
    /// From the end of a stall until no call fails any more.
    full_rate_within: Duration,
}

/// What is between the service and Postgres.
enum Way {
    Direct,
    /// A stall is of the way: it swallows everything.
    Wire,
    Pooler(Pooler),
}

/// On any machine.
const SHORT: Trial = Trial {
    calls_per_second: 40,
    deadline: Duration::from_secs(3),
    immediate: 0,
    fast: 0,
    demotions: 0,
    stalls: 0,
    stall: Duration::from_secs(6),
    way: Way::Direct,
    first_success_within: Duration::from_secs(10),
    writes_within: Duration::from_secs(20),
    answers_within: Duration::from_millis(2500),
    full_rate_within: Duration::from_secs(20),
};
/// On one that does nothing else.
const LONG: Trial = Trial {
    calls_per_second: 200,
    deadline: Duration::from_secs(5),
    stall: Duration::from_secs(30),
    first_success_within: Duration::from_secs(2),
    writes_within: Duration::from_secs(10),
    answers_within: Duration::from_secs(1),
    full_rate_within: Duration::from_secs(5),
    ..SHORT
};

/// The program under load, on a Postgres of its own.
struct Site {
    postgres: OwnPostgres,
    wire: Option<Wire>,
    _pooler: Option<Running>,
    service: Service,
    program: Program,
    load: Arc<Load>,
    /// Ends with how often liveness was asked for, and what it was when it was not SERVING.
    liveness: JoinHandle<()>,
    seen: Arc<std::sync::Mutex<(usize, Vec<String>)>>,
}

impl Site {
    async fn start(name: &str, trial: &Trial) -> Self {
        let (postgres, mut database) = OwnPostgres::start(name).await;
        database.name = format!("{name}-service");
        let (mut wire, mut pooler) = (None, None);
        let server = place(&database.service_url);
        let near = match &trial.way {
            Way::Direct => server,
            Way::Wire => wire.insert(Wire::to(server).await).address,
            Way::Pooler(kind) => {
                assert!(roles::limit(&database.url, "service", Engine::Single).await.unwrap());
                pooler.insert(kind.start(server).await).address
            }
        };
        database.service_url = at(&database.service_url, near);
        let deadline = trial.deadline.as_secs().to_string();
        let (service, program) = start(database, &deadline).await;
        let load = Load::start(&service, trial.calls_per_second).await;
        let seen = Arc::<std::sync::Mutex<(usize, Vec<String>)>>::default();
        let liveness = tokio::spawn(watch_liveness(channel_to(service.address).await, Arc::clone(&seen)));
        Self { postgres, wire, _pooler: pooler, service, program, load, liveness, seen }
    }

    async fn execute(&self, statement: &str) {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        statement.execute(self.service.pool()).await.unwrap();
    }

    /// After [`Load::stop`], what holds whatever has happened.
    async fn is_sound(&mut self, faults: &str, expected: &[Code]) {
        let calls = self.load.calls();
        let (lost, acknowledged) = self.load.lost(self.service.pool()).await;
        let others = calls.iter().filter(|call| !call.is_ok() && !expected.contains(&call.code)).collect::<Vec<_>>();
        self.liveness.abort();
        let (asked, unlike) = self.seen.lock().unwrap().clone();
        say(&format!(
            "{faults}: {:?}; {acknowledged} invitations acknowledged, {} lost; liveness asked {asked} times, {} times not \
             SERVING",
            counts(&calls),
            lost.len(),
            unlike.len(),
        ));
        assert!(lost.is_empty() && acknowledged > 0, "acknowledged and lost: {lost:?}");
        let first = others.first().map(|call| (call.kind, call.code, &call.message));
        assert!(first.is_none(), "{} others, such as {first:?}", others.len());
        assert!(asked > 0 && unlike.is_empty(), "liveness: {unlike:?}");
        assert!(self.program.ended(Duration::ZERO).await.is_none(), "it has ended: {}", self.program.log());
        self.service.recount().await;
    }
}

/// The program, as a deployment runs it.
async fn start(database: Database, deadline: &str) -> (Service, Program) {
    Service::around(database, Script::accept_all(), async |database, dir, smtp| {
        let issuers = issuers(dir);
        let settings = [("default_deadline_seconds", deadline), ("issuers", &issuers)];
        let mut program = Program::start(dir, &values_for(&database.service_url, dir, smtp, &settings));
        program.serving().await;
        (program.address, program)
    })
    .await
}

async fn watch_liveness(channel: crate::support::Channel, seen: Arc<std::sync::Mutex<(usize, Vec<String>)>>) {
    let mut client = HealthClient::new(channel);
    loop {
        let answer = client.check(HealthCheckRequest { service: "liveness".to_owned() }).await;
        let status = answer.map(|answer| answer.into_inner().status());
        {
            let mut seen = seen.lock().unwrap();
            seen.0 += 1;
            if !matches!(status, Ok(ServingStatus::Serving)) {
                seen.1.push(format!("{status:?}"));
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

#[expect(clippy::print_stdout, reason = "what a trial is for")]
fn say(line: &str) {
    println!("{line}");
}

/// The longest of them, and all.
fn say_times(what: &str, times: &[Duration]) {
    let Some(longest) = times.iter().max() else { return };
    let all = times.iter().map(|time| format!("{:.2}", time.as_secs_f64())).collect::<Vec<_>>().join(" ");
    say(&format!("{what}: {:.2} s at most, of {}: {all}", longest.as_secs_f64(), times.len()));
}

impl Trial {
    async fn run(self, name: &str) {
        let _turn = TURN.lock().await;
        let mut site = Site::start(name, &self).await;
        self.restart(&mut site, "QUIT", self.immediate, "after an immediate restart").await;
        self.restart(&mut site, "INT", self.fast, "after a fast restart").await;
        for _ in 0..self.demotions {
            self.demote(&site).await;
        }
        // what ends by its deadline has waited for something, and too many of those are an overload
        let mut expected = TRY_AGAIN.to_vec();
        if matches!(self.way, Way::Pooler(_)) {
            // it holds calls while Postgres is away, as a stall does
            expected.push(Code::ResourceExhausted);
        }
        if self.stalls > 0 {
            let before = site.load.calls();
            let others = before.iter().filter(|call| !call.is_ok() && !TRY_AGAIN.contains(&call.code));
            assert_eq!(others.count(), 0, "{:?}", counts(&before));
            expected.push(Code::ResourceExhausted);
        }
        for _ in 0..self.stalls {
            self.stall(&site).await;
        }
        site.load.stop().await;
        self.all_in_time(&site.load.calls());
        site.is_sound(name, &expected).await;
    }

    async fn restart(&self, site: &mut Site, signal: &str, count: usize, what: &str) {
        let (mut first, mut full) = (Vec::new(), Vec::new());
        for _ in 0..count {
            sleep(Duration::from_millis(rand::random_range(500..1500))).await;
            site.postgres.end(signal).await;
            let gone = Instant::now();
            sleep(Duration::from_millis(rand::random_range(300..1000))).await;
            let returns = Instant::now();
            site.postgres.start_again().await;
            let back = Instant::now();
            first.push(site.load.works_after(back).await);
            full.push(site.load.at_full_rate_after(back).await);
            // the control: nothing works without it
            let calls = site.load.calls();
            let meanwhile = calls.iter().filter(|call| call.begin > gone && call.begin < returns).collect::<Vec<_>>();
            let worked = meanwhile.iter().filter(|call| call.is_ok() && call.end < returns).count();
            assert!(!meanwhile.is_empty() && worked == 0, "{worked} of {}", meanwhile.len());
        }
        say_times(&format!("{what}, first success"), &first);
        say_times(&format!("{what}, last call that failed"), &full);
        assert!(first.iter().all(|time| *time <= self.first_success_within), "{first:?}");
    }

    /// As a provider does it: the sessions that are open stay with a server that has become read-only, and whoever
    /// connects anew comes to another one, which writes. Here that is a setting of the whole server, and then one of the
    /// role: it is for new sessions only.
    async fn demote(&self, site: &Site) {
        sleep(Duration::from_secs(1)).await;
        // the control: a pool as the driver makes it asks whether its connection answers, and no more
        let usual = PgPoolOptions::new().max_connections(1).connect(&site.service.database.service_url).await.unwrap();
        let write = "UPDATE organizations SET display_name = display_name WHERE false";
        sqlx::query(write).execute(&usual).await.unwrap();

        site.execute("ALTER SYSTEM SET default_transaction_read_only = on").await;
        site.execute("SELECT pg_reload_conf()").await;
        let demoted = Instant::now();
        let refused = |call: &Call| call.begin > demoted && call.is_change() && call.code == Code::Unavailable;
        site.load.until("is refused", refused).await;
        // another control: health can say so, and that of the process does not
        let mut health = HealthClient::new(site.service.channel.clone());
        while health.check(HealthCheckRequest::default()).await.unwrap().into_inner().status() == ServingStatus::Serving
        {
            assert!(demoted.elapsed() < PATIENCE, "health does not follow");
            sleep(Duration::from_millis(50)).await;
        }
        let read = |call: &Call| call.begin > demoted && !call.is_change() && call.is_ok();
        site.load.until("reads from it", read).await;

        site.execute("ALTER ROLE service SET default_transaction_read_only = off").await;
        let promoted = Instant::now();
        let first = site.load.works_after(promoted).await;
        let full = site.load.at_full_rate_after(promoted).await;
        say_times("after a demotion, first change", &[first]);
        say_times("after a demotion, last call that failed", &[full]);
        assert!(sqlx::query(write).execute(&usual).await.is_err(), "the control");
        usual.close().await;
        assert!(first <= self.writes_within, "{first:?}");

        // as before for the next one: sessions that follow the server's setting
        site.execute("ALTER SYSTEM RESET default_transaction_read_only").await;
        site.execute("ALTER ROLE service RESET default_transaction_read_only").await;
        site.execute("SELECT pg_reload_conf()").await;
        let sessions =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'invitations %'";
        site.execute(sessions).await;
        site.load.at_full_rate_after(Instant::now()).await;
    }

    async fn stall(&self, site: &Site) {
        sleep(Duration::from_secs(2)).await;
        let frozen = match &site.wire {
            Some(wire) => {
                wire.swallow(true);
                None
            }
            None => Some(site.postgres.freeze()),
        };
        let stalled = Instant::now();
        sleep(self.stall).await;
        if let Some(wire) = &site.wire {
            wire.swallow(false);
        }
        drop(frozen);
        let back = Instant::now();
        let first = site.load.works_after(back).await;
        let full = site.load.at_full_rate_after(back).await;
        // the control: nothing was answered meanwhile
        let calls = site.load.calls();
        let meanwhile = calls.iter().filter(|call| call.begin > stalled && call.end < back).collect::<Vec<_>>();
        let worked = meanwhile.iter().filter(|call| call.is_ok()).count();
        assert!(!meanwhile.is_empty() && worked == 0, "{worked} of {}", meanwhile.len());
        say_times("after a stall, first success", &[first]);
        say_times("after a stall, last call that failed", &[full]);
        assert!(full <= self.full_rate_within, "{full:?}");
    }

    /// Every call has ended by its deadline. That this can fail is seen in a stall, which is longer.
    fn all_in_time(&self, calls: &[Call]) {
        let longest = calls.iter().max_by_key(|call| call.end - call.begin).expect("there were calls");
        let took = longest.end - longest.begin;
        say(&format!("the longest of {} calls, with a deadline of {:?}: {took:.2?}", calls.len(), self.deadline));
        assert!(self.stalls == 0 || self.deadline + self.answers_within < self.stall);
        assert!(took <= self.deadline + self.answers_within, "{longest:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "bash .ci/run faults: with nothing beside it"]
async fn restarts_a_demotion_and_a_stall_lose_nothing() {
    Trial { immediate: 2, fast: 2, demotions: 1, stalls: 1, ..SHORT }.run("faults").await;
}

/// The control: a server that acknowledges a commit before it has written it. The counts that find nothing lost elsewhere
/// find it here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "bash .ci/run faults: with nothing beside it"]
async fn what_is_acknowledged_before_it_is_written_is_lost_by_a_crash() {
    let _turn = TURN.lock().await;
    let mut site = Site::start("faults_control", &SHORT).await;
    site.execute("ALTER SYSTEM SET synchronous_commit = off").await;
    site.execute("ALTER SYSTEM SET wal_writer_delay = '10s'").await;
    site.execute("SELECT pg_reload_conf()").await;
    // what is written in between for other reasons takes the commits before it along: a crash may meet such a moment
    for _ in 0..5 {
        sleep(Duration::from_secs(2)).await;
        site.postgres.end("QUIT").await;
        site.postgres.start_again().await;
        site.load.works_after(Instant::now()).await;
        if !site.load.lost(site.service.pool()).await.0.is_empty() {
            break;
        }
    }
    // a fault of ours is another answer than that of an outage
    site.execute("ALTER TABLE members RENAME TO elsewhere").await;
    site.load.until("is INTERNAL", |call| call.code == Code::Internal).await;
    site.load.stop().await;
    let (lost, acknowledged) = site.load.lost(site.service.pool()).await;
    say(&format!("the control: {} of {acknowledged} lost", lost.len()));
    assert!(!lost.is_empty(), "none of {acknowledged}");
}

/// `scripts/faults`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes some minutes, and a machine that does nothing else"]
async fn long_restarts() {
    Trial { immediate: 20, fast: 20, ..LONG }.run("faults_restarts").await;
}

/// `scripts/faults`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes some minutes, and a machine that does nothing else"]
async fn long_demotions() {
    Trial { demotions: 10, ..LONG }.run("faults_demotions").await;
}

/// `scripts/faults`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes some minutes, and a machine that does nothing else"]
async fn long_stalls() {
    Trial { stalls: 3, ..LONG }.run("faults_stalls").await;
    Trial { stalls: 3, way: Way::Wire, ..LONG }.run("faults_cut_off").await;
}
