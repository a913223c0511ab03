//! Readers that do not read.

use invitations::dev::mailbox::Script;
use tonic::transport::Endpoint;

use super::{QUICK, Watcher, head, position, watch, write};
use crate::support::{Channel, PATIENCE, Person, Service, reason};

/// Events that fill what a client takes ahead, and what is written ahead to it.
const MANY: [i64; 40] = [100; 40];

/// The same person over a connection that takes 64 KiB of a stream ahead, and not 2 MiB as tonic does by itself.
async fn narrow(service: &Service, person: &Person) -> Person {
    let endpoint = Endpoint::from_shared(format!("http://{}", service.address)).unwrap();
    person.on(&Channel::open(endpoint.initial_stream_window_size(65_535)).await.unwrap())
}

#[tokio::test]
async fn who_takes_nothing_is_cut_off_and_misses_nothing() {
    let service = Service::start_with(&[("watch_checkpoint_seconds", "2")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let mut slow = Watcher::open(&narrow(&service, &owner).await).await;
    let mut clock = Watcher::open(&owner).await;
    write(&service, &MANY).await;
    let last = head(&service).await;
    assert_eq!(clock.positions_to(last).await, (2..=last).collect::<Vec<_>>());
    // one each 1.3 s: together longer than the patience of 4 s, and shorter than the 8 s after which it is cut off
    for _ in 0..4 {
        clock.message().await.unwrap();
    }
    let (messages, end) = slow.until_end().await;
    assert_eq!(reason(end), "WATCHER_TOO_SLOW");
    let read = messages.iter().flat_map(|message| &message.events).map(position).collect::<Vec<_>>();
    let end = *read.last().unwrap();
    assert_eq!(read, (2..=end).collect::<Vec<_>>());
    assert!(end < last, "it was held up");
    let mut resumed = Watcher::resume(&owner, &slow.token).await;
    assert_eq!(resumed.positions_to(last).await, (end + 1..=last).collect::<Vec<_>>());
}

#[tokio::test]
async fn who_never_reads_again_loses_the_place() {
    let service = Service::start_with(&[QUICK, ("max_watches_per_caller", "1")], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let stuck = Watcher::open(&narrow(&service, &owner).await).await;
    write(&service, &MANY).await;
    // the control: it has its place at first
    assert_eq!(reason(Watcher::try_open(&owner, watch("")).await.map(drop)), "TOO_MANY_WATCHES");
    let began = std::time::Instant::now();
    while let Err(refused) = Watcher::try_open(&owner, watch("")).await {
        assert_eq!(reason(Err::<(), _>(refused)), "TOO_MANY_WATCHES");
        assert!(began.elapsed() < PATIENCE, "it is cut off");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    drop(stuck);
}
