//! How many streams there may be, and what they take from calls: nothing.

use futures_util::future::join_all;
use invitations::dev::mailbox::Script;
use tonic::Code;

use super::{QUICK, Watcher, watch, write};
use crate::support::{Service, channel_to, named, reason, retry_after};

#[tokio::test]
async fn a_caller_has_so_many_streams_and_others_have_theirs() {
    let service = Service::start_with(&[QUICK, ("max_watches_per_caller", "2")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let manager = service.member(&owner, "acme", "max", "MANAGER").await;
    let first = Watcher::open(&owner).await;
    let _second = Watcher::open(&owner).await;
    let refused = Watcher::try_open(&owner, watch("")).await.map(drop);
    assert_eq!(refused.as_ref().unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(named(&refused, "limit"), "2");
    assert!(retry_after(&refused).is_some());
    assert_eq!(reason(refused), "TOO_MANY_WATCHES");
    Watcher::open(&manager).await;
    // a place that is given back is taken again
    drop(first);
    while Watcher::try_open(&owner, watch("")).await.is_err() {}
}

#[tokio::test]
async fn a_replica_has_so_many_streams() {
    let service = Service::start_with(&[QUICK, ("max_watches", "2")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let _streams = [Watcher::open(&owner).await, Watcher::open(&owner).await];
    assert_eq!(reason(Watcher::try_open(&owner, watch("")).await.map(drop)), "OVERLOADED");
    // the control: another replica has its own
    let other = owner.on(&service.replica(&[QUICK]).await);
    Watcher::open(&other).await;
}

#[tokio::test]
async fn streams_leave_half_of_a_connection_to_calls() {
    let settings = [QUICK, ("max_concurrent_streams", "6")];
    let service = Service::start_with(&settings, Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    // the health of the connection's own start is over
    let mut streams = Vec::new();
    let refused = loop {
        match Watcher::try_open(&owner, watch("")).await {
            Ok(stream) => streams.push(stream),
            Err(refused) => break refused,
        }
    };
    assert_eq!(streams.len(), 3);
    let refused = Err::<(), _>(refused);
    assert_eq!(named(&refused, "limit"), "3");
    assert_eq!(reason(refused), "TOO_MANY_WATCHES");
    let calls = join_all((0..6).map(|_| owner.events("acme"))).await;
    assert!(calls.iter().all(|events| events.len() == 1));
    // another connection has a half of its own
    let other = owner.on(&channel_to(service.address).await);
    Watcher::open(&other).await;
}

#[tokio::test]
async fn streams_take_no_place_of_calls_and_keep_their_connection() {
    // one call of a caller at a time, no answer that is not taken, and two connections
    let settings = [
        QUICK,
        ("max_calls", "8"),
        ("max_calls_per_caller", "1"),
        ("max_untaken_answers", "1"),
        ("max_connections", "2"),
    ];
    let service = Service::start_with(&settings, Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let watching = owner.on(&channel_to(service.address).await);
    let mut streams = Vec::new();
    for _ in 0..12 {
        streams.push(Watcher::open(&watching).await);
    }
    for _ in 0..20 {
        assert_eq!(owner.events("acme").await.len(), 1);
    }
    // a third connection takes the place of the one that has no call
    let third = channel_to(service.address).await;
    assert_eq!(owner.on(&third).events("acme").await.len(), 1);
    write(&service, &[1]).await;
    for stream in &mut streams {
        assert_eq!(stream.positions_to(2).await, [2]);
    }
}
