//! Writers over three replicas, readers that come and go, replicas that are killed, and events that are pruned: what the
//! readers have heard is what happened, as etcd's robustness tests ask it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use invitations::dev::mailbox::Script;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::transport::Endpoint;
use uuid::Uuid;

use super::{head, position, run, watch};
use crate::program::{Program, issuers, person, quiet_port};
use crate::support::{Channel, Database, PATIENCE, Person, Service, values_for};

const REPLICAS: usize = 3;
const WRITERS: usize = 4;
const READERS: usize = 6;
/// How long it goes on.
const TIME: Duration = Duration::from_secs(20);
const SETTINGS: [(&str, &str); 5] = [
    ("watch_checkpoint_seconds", "1"),
    // streams end by themselves, too
    ("watch_age_seconds", "3"),
    ("drain_timeout_seconds", "5"),
    ("default_deadline_seconds", "30"),
    ("max_deadline_seconds", "60"),
];

struct Replica {
    dir: PathBuf,
    settings: Vec<(&'static str, String)>,
    program: Program,
}

impl Replica {
    async fn start(service: &Service, number: usize) -> Self {
        let dir = service.dir.join(format!("replica-{number}"));
        std::fs::create_dir_all(&dir).unwrap();
        let issuers = issuers(&service.dir);
        let settings = [&SETTINGS[..], &[("issuers", issuers.as_str())]].concat();
        let mut settings = values_for(&service.database.service_url, &dir, service.mailbox.addr(), &settings);
        settings.retain(|(key, _)| *key != "listen");
        settings.push(("listen", quiet_port().to_string()));
        let mut program = Program::start(&dir, &settings);
        program.serving().await;
        Self { dir, settings, program }
    }

    async fn restart(&mut self, signal: &str) {
        self.program.signal(signal).await;
        self.program.ended(PATIENCE).await.expect("it ends");
        self.program = Program::start(&self.dir, &self.settings);
        self.program.serving().await;
    }
}

/// A new connection to any replica that answers.
async fn connect(addresses: &[SocketAddr]) -> Channel {
    loop {
        let address = addresses[rand::random_range(0..addresses.len())];
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        if let Ok(channel) = Channel::open(endpoint).await {
            return channel;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Invites and revokes, each request until it is answered.
async fn write(owner: Person, addresses: Vec<SocketAddr>, writer: usize, stop: CancellationToken) -> usize {
    let (mut count, mut caller) = (0, owner.on(&connect(&addresses).await));
    while !stop.is_cancelled() {
        let id = Uuid::new_v4().to_string();
        let email = format!("guest-{writer}-{count}@example.com");
        let invited = loop {
            match timeout(Duration::from_secs(5), caller.invite_by("acme", &email, &id)).await {
                Ok(Ok(invited)) => break invited,
                _ => caller = owner.on(&connect(&addresses).await),
            }
        };
        count += 1;
        if count % 3 == 0 {
            caller.revoke(&invited.name).await.ok();
        }
        // a pace that leaves the machine to others
        sleep(Duration::from_millis(20)).await;
    }
    count
}

/// What one reader has heard.
#[derive(Default)]
struct Heard {
    /// Each stream with the position before it, and what it has heard.
    streams: Vec<(i64, Vec<i64>)>,
    /// Of each message, the last position and its time.
    ends: Vec<(i64, Option<prost_types::Timestamp>)>,
}

/// Reads until it has heard of `last` (0: not known yet), and comes back at random.
async fn read(
    owner: Person,
    addresses: Vec<SocketAddr>,
    at: Arc<AtomicI64>,
    token: String,
    last: Arc<AtomicI64>,
) -> Heard {
    let (mut heard, mut token, mut position_heard) = (Heard::default(), token, at.load(Ordering::Relaxed));
    loop {
        let caller = owner.on(&connect(&addresses).await);
        let leaves = Instant::now() + Duration::from_millis(rand::random_range(200..4000));
        let Ok(stream) = caller.organizations.clone().watch_events(Request::new(watch(&token))).await else { continue };
        let mut stream = stream.into_inner();
        heard.streams.push((position_heard, Vec::new()));
        loop {
            if last.load(Ordering::Relaxed) == position_heard {
                return heard;
            }
            let Ok(Ok(Some(message))) = tokio::time::timeout_at(leaves, stream.message()).await else { break };
            // some leave with a message in their hands: it comes again
            if rand::random_range(0..10) == 0 && !message.events.is_empty() {
                break;
            }
            token = message.resume_token;
            if let Some(event) = message.events.last() {
                position_heard = position(event);
                heard.ends.push((position_heard, event.create_time));
            }
            heard.streams.last_mut().unwrap().1.extend(message.events.iter().map(position));
            at.store(position_heard, Ordering::Relaxed);
        }
    }
}

/// Where transactions end, by what the test knows of the trail: its copy has every event.
async fn ends_within_a_transaction(service: &Service, ends: &[i64]) -> Vec<i64> {
    let within = "SELECT k.position FROM kept k JOIN kept n ON n.position = k.position + 1 AND n.create_time = k.create_time \
                   WHERE k.position = ANY($1)";
    sqlx::query_scalar(within).bind(ends).fetch_all(service.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_hear_everything_once_and_in_order_whatever_is_killed() {
    static TURN: Mutex<()> = Mutex::const_new(());
    let _turn = TURN.lock().await;
    let database = Database::create().await;
    let (service, first) = Service::around(database, Script::accept_all(), async |database, dir, smtp| {
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
        replicas.push(Replica::start(&service, number).await);
    }
    let addresses = replicas.iter().map(|replica| replica.program.address).collect::<Vec<_>>();
    let owner = person(&service, &connect(&addresses).await, "olga");
    owner.create_account("olga").await.unwrap();
    owner.create_organization("acme").await.unwrap();
    // all that was ever written, for the comparison
    run(&service, "CREATE TABLE kept AS SELECT * FROM events").await;
    let keep = "INSERT INTO kept SELECT * FROM events WHERE position > (SELECT max(position) FROM kept)";

    let first = super::Watcher::open(&owner).await.token;
    let (stop, last) = (CancellationToken::new(), Arc::new(AtomicI64::new(0)));
    let places = [(); READERS].map(|()| Arc::new(AtomicI64::new(1)));
    let readers = places.each_ref().map(|at| {
        tokio::spawn(read(owner.clone(), addresses.clone(), Arc::clone(at), first.clone(), Arc::clone(&last)))
    });
    let writers = [0, 1, 2, 3].map(|n| tokio::spawn(write(owner.clone(), addresses.clone(), n, stop.clone())));
    assert_eq!(writers.len(), WRITERS);

    let began = Instant::now();
    let mut turn = 0;
    while began.elapsed() < TIME {
        let signal = if turn % 3 == 2 { "TERM" } else { "KILL" };
        replicas[turn % REPLICAS].restart(signal).await;
        turn += 1;
        // the oldest go that every reader has heard, and are kept for the comparison
        run(&service, keep).await;
        let heard = places.iter().map(|at| at.load(Ordering::Relaxed)).min().unwrap();
        super::prune(&service, heard / 2).await;
    }
    stop.cancel();
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    run(&service, keep).await;
    let newest = head(&service).await;
    last.store(newest, Ordering::Relaxed);
    assert!(newest > i64::try_from(written).unwrap() && turn > 3, "{newest} events of {written}, {turn} restarts");

    let mut all = 0;
    for reader in readers {
        let heard = timeout(3 * PATIENCE, reader).await.expect("every reader comes to the end").unwrap();
        // ordered, unique and reliable: each stream goes on where its token was, without a gap
        let mut union = 1;
        for (after, positions) in &heard.streams {
            let expected = (after + 1..).take(positions.len()).collect::<Vec<_>>();
            assert_eq!(*positions, expected, "a stream after {after}");
            union = union.max(positions.last().copied().unwrap_or_default());
        }
        assert_eq!(union, newest, "resumable and bookmarkable: nothing is missing at the end");
        let ends = heard.ends.iter().map(|(end, _)| *end).collect::<Vec<_>>();
        assert_eq!(ends_within_a_transaction(&service, &ends).await, [0; 0], "atomic");
        all += heard.streams.len();
    }
    assert!(all > 2 * READERS, "{all} streams");
    // the trail itself has no gap
    let (count, most): (i64, i64) =
        sqlx::query_as("SELECT count(*), max(position) FROM kept").fetch_one(service.pool()).await.unwrap();
    assert_eq!((count, most), (newest, newest));
    // who stayed away for too long is told so
    let late = owner.on(&connect(&addresses).await);
    let late = super::Watcher::try_open(&late, watch(&first)).await.map(drop);
    assert_eq!(crate::support::reason(late), "RESUME_TOKEN_EXPIRED");
}
