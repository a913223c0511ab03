//! A thousand watchers cost what one costs.

use futures_util::future::join_all;

use super::{Watcher, write};
use crate::support::{Watched, channel_to};

/// Connections, and streams on each.
const CONNECTIONS: usize = 10;
const STREAMS: usize = 100;

/// Of the statement that reads what comes after a position.
const READ: &str = "h.event_position, w.create_time";

/// The statements of the reader while two things happen.
async fn statements(watched: &Watched, watchers: &mut [Watcher], first: i64) -> Vec<String> {
    let happens = async {
        for position in [first, first + 1] {
            write(&watched.service, &[1]).await;
            let heard = join_all(watchers.iter_mut().map(|watcher| watcher.positions_to(position))).await;
            assert!(heard.iter().all(|heard| *heard == [position]));
        }
    };
    let ((), statements) = watched.statements(happens).await;
    statements.into_iter().filter(|statement| statement.contains(READ)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_read_once_for_a_thousand_watchers() {
    let settings = [("max_watches_per_caller", "2000"), ("max_concurrent_streams", "1000"), ("max_calls", "1000")];
    let watched = Watched::start(&settings).await;
    let owner = watched.service.owner("olga", "acme").await;
    let mut one = [Watcher::open(&owner).await];
    let for_one = statements(&watched, &mut one, 2).await;
    assert_eq!(for_one.len(), 2, "{for_one:#?}");

    let mut watchers = Vec::new();
    for _ in 0..CONNECTIONS {
        let owner = owner.on(&channel_to(watched.service.address).await);
        for _ in 0..STREAMS {
            watchers.push(Watcher::open(&owner).await);
        }
    }
    let for_many = statements(&watched, &mut watchers, 4).await;
    assert_eq!(for_many.len(), 2, "{for_many:#?}");
    // the control: whoever comes back with a token reads by themselves
    let token = one[0].token.clone();
    let resume = async { drop(Watcher::resume(&owner, &token).await) };
    let ((), of_its_own) = watched.statements(resume).await;
    assert!(of_its_own.iter().any(|statement| statement.contains(READ)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_asked_for_in_one_statement_and_only_while_somebody_watches() {
    let watched = Watched::start(&[super::QUICK]).await;
    let owner = watched.service.owner("olga", "acme").await;
    for n in 0..5 {
        owner.create_organization(&format!("acme-{n}")).await.unwrap();
    }
    let mut clock = Watcher::open(&owner).await;
    let mut others = Vec::new();
    for n in 0..5 {
        let parent = format!("organizations/acme-{n}");
        let request = invitations::pb::WatchEventsRequest { parent, ..super::watch("") };
        others.push(Watcher::try_open(&owner, request).await.unwrap());
    }
    let polls = |statements: Vec<String>| statements.iter().filter(|s| s.contains("h.event_position <> w.p")).count();
    // two checkpoints: at most 2 s, at least two thirds of one
    let pass = async {
        for _ in 0..2 {
            clock.message().await.unwrap();
        }
    };
    let ((), asked) = watched.statements(pass).await;
    let count = polls(asked);
    assert!((1..=25).contains(&count), "{count} for six organizations");
    drop((clock, others));
    // the places are given back with the connection's next breath
    let none = async {
        loop {
            let quiet = async { assert_eq!(owner.events("acme").await.len(), 1) };
            let (_, asked) = watched
                .statements(join_all((0..1).map(|_| async {
                    quiet_for_a_poll().await;
                })))
                .await;
            quiet.await;
            if polls(asked) == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, none).await.expect("nothing is asked for where nobody watches");
}

/// Longer than two polls.
async fn quiet_for_a_poll() {
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
}
