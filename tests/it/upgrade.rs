//! The migrations of the next release, while this one serves: what they wait for holds up no call. And many that start
//! at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use invitations::dev::mailbox::Script;
use invitations::store::migrations;
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::migrate::migrate;
use crate::support::{Database, Person, Service, scratch};

/// How long somebody else reads, such as a backup.
const READS_FOR: Duration = Duration::from_secs(6);
/// What a call may take meanwhile: a second behind a migration that waits, and what a busy machine adds.
const BRIEF: Duration = Duration::from_secs(3);

/// As a release has them: columns, a value, a table.
const NEXT: [&str; 5] = [
    "ALTER TABLE emails ADD COLUMN next text",
    "ALTER TABLE invitations ADD COLUMN next integer NOT NULL DEFAULT 7",
    "ALTER TABLE organization_heads ADD COLUMN next text",
    "ALTER TYPE email_state ADD VALUE 'NEXT'",
    "CREATE TABLE next (organization text PRIMARY KEY)",
];

/// The migrations of the next release: all of this one, and more.
async fn next_release(name: &str) -> Migrator {
    let folder = scratch(name).join("migrations");
    std::fs::create_dir(&folder).unwrap();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap() {
        let path: PathBuf = file.unwrap().path();
        std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    for (statement, number) in NEXT.iter().zip(9001..) {
        std::fs::write(folder.join(format!("{number}_next.sql")), statement).unwrap();
    }
    Migrator::new(folder).await.unwrap()
}

/// Holds the locks of a reader on every table, until it is dropped.
async fn long_reader(database: &Database) -> PgConnection {
    let mut reader = PgConnection::connect(&database.url).await.unwrap();
    let read = "BEGIN; SELECT count(*) FROM emails, invitations, organizations, organization_heads, members, events";
    sqlx::raw_sql(read).execute(&mut reader).await.unwrap();
    reader
}

/// People who invite one after the other, and look at it; how long their longest call took.
struct Calls {
    stop: CancellationToken,
    made: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<Duration>>,
}

impl Calls {
    fn begin(owner: &Person) -> Self {
        let (stop, made) = (CancellationToken::new(), Arc::<AtomicUsize>::default());
        let caller = |number: usize| {
            let (owner, stop, made) = (owner.clone(), stop.clone(), Arc::clone(&made));
            async move {
                let mut longest = Duration::ZERO;
                for nth in 0.. {
                    let begin = Instant::now();
                    let invited = owner.invite("acme", &format!("p{number}-{nth}@example.com")).await.unwrap();
                    owner.get(&invited.name).await.unwrap();
                    longest = longest.max(begin.elapsed());
                    made.fetch_add(1, Ordering::Relaxed);
                    if stop.is_cancelled() {
                        break;
                    }
                    sleep(Duration::from_millis(20)).await;
                }
                longest
            }
        };
        let callers = (0..3).map(|number| tokio::spawn(caller(number))).collect();
        Self { stop, made, callers }
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    async fn end(self) -> Duration {
        self.stop.cancel();
        try_join_all(self.callers).await.unwrap().into_iter().max().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_give_way_to_calls_while_somebody_reads_for_long() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    let next = next_release("upgrade").await;
    let reader = long_reader(&service.database).await;
    let calls = Calls::begin(&owner);
    let url = service.database.url.clone();
    let began = Instant::now();
    let migration = tokio::spawn(async move { migrations::apply(&next, &url).await });
    sleep(READS_FOR).await;
    let meanwhile = calls.made();
    assert!(!migration.is_finished(), "it does wait");
    reader.close().await.unwrap();
    let applied = migration.await.unwrap().unwrap();
    assert!(applied.len() == NEXT.len() && began.elapsed() > READS_FOR, "{applied:?}");
    // the version before goes on with the schema of the next one, and so does one that starts
    let replica = service.replica(&[]).await;
    owner.on(&replica).invite("acme", "anna@example.com").await.unwrap();
    let longest = calls.end().await;
    assert!(longest < BRIEF && meanwhile > 10, "{meanwhile} in {READS_FOR:?}, the longest took {longest:?}");
}

/// The control: the same statement without a limit on its waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_waits_for_a_reader_would_hold_up_every_call() {
    let service = Service::start_with(&[("default_deadline_seconds", "30")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let reader = long_reader(&service.database).await;
    let url = service.database.url.clone();
    let migration = tokio::spawn(async move {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("ALTER TABLE invitations ADD COLUMN next text").execute(&mut connection).await.unwrap();
    });
    sleep(Duration::from_millis(500)).await;
    let (owner, began) = (owner.clone(), Instant::now());
    let call =
        tokio::spawn(async move { owner.invite("acme", "anna@example.com").await.is_ok() && began.elapsed() < BRIEF });
    sleep(BRIEF).await;
    reader.close().await.unwrap();
    migration.await.unwrap();
    assert!(!call.await.unwrap(), "it was answered while the reader was there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_replicas_start_at_once_on_an_empty_database() {
    let mut database = Database::create_empty().await;
    let outputs = join_all((0..10).map(|_| migrate(&database.url))).await;
    let said = outputs.iter().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).collect::<Vec<_>>();
    assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
    let applied = |said: &&String| said.contains("\nmigrations applied: ");
    assert_eq!(said.iter().filter(applied).count(), 1, "{said:#?}");
    let ready = said.iter().filter(|said| said.contains("there was nothing to apply")).count();
    assert_eq!(ready, 9, "{said:#?}");

    // as whoever has migrated it
    database.service_url.clone_from(&database.url);
    let service = Service::start_on(database, &[("database_connections", "2")], Script::accept_all()).await;
    let replicas = join_all((1..10).map(|_| service.replica(&[("database_connections", "2")]))).await;
    let owner = service.owner("olga", "acme").await;
    let invited = join_all(replicas.iter().zip(0..).map(|(replica, nth)| {
        let owner = owner.on(replica);
        async move { owner.invite("acme", &format!("p{nth}@example.com")).await }
    }));
    assert!(invited.await.iter().all(Result::is_ok));
    service.recount().await;
}
