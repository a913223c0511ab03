//! By position, each once, and transactions in one piece.

use sqlx::Connection;

use super::{QUICK, Watcher, position, run, write};
use crate::support::Service;
use invitations::dev::mailbox::Script;
use time::OffsetDateTime;

/// Events of transactions that are longer and shorter than a page, in no order.
const SIZES: [i64; 9] = [200, 100, 1, 700, 1, 1, 255, 256, 257];

#[tokio::test]
async fn no_message_ends_within_a_transaction() {
    let service = Service::start_with(&[QUICK], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let first = Watcher::open(&owner).await.token;
    // whoever watches meanwhile, and who comes later
    let mut watching = Watcher::open(&owner).await;
    write(&service, &SIZES).await;
    let last = 1 + SIZES.iter().sum::<i64>();
    let ends = SIZES
        .iter()
        .scan(1, |end, size| {
            *end += size;
            Some(*end)
        })
        .collect::<Vec<_>>();
    let mut later = Watcher::resume(&owner, &first).await;
    for watcher in [&mut watching, &mut later] {
        let mut next = 2;
        let mut messages = 0;
        while next <= last {
            let message = watcher.happened().await;
            let positions = message.events.iter().map(position).collect::<Vec<_>>();
            let after = positions.last().unwrap() + 1;
            assert_eq!(positions, (next..after).collect::<Vec<_>>());
            assert!(ends.contains(&(after - 1)), "a message ends at {}", after - 1);
            // and what follows its token is what follows it
            if after <= last {
                let resumed = Watcher::resume(&owner, &message.resume_token).await.happened().await;
                assert_eq!(position(&resumed.events[0]), after);
            }
            next = after;
            messages += 1;
        }
        assert!(messages > 3, "{messages}");
    }
    // the control: pages of one length would end within one
    assert!((1..last).step_by(256).skip(1).any(|end| !ends.contains(&end)));
}

/// Reads by time: what came after the newest that it knows.
async fn by_time(service: &Service, after: OffsetDateTime) -> Vec<(i64, OffsetDateTime)> {
    let later = "SELECT position, create_time FROM events WHERE organization = 'acme' AND create_time > $1 ORDER BY create_time";
    sqlx::query_as(later).bind(after).fetch_all(service.pool()).await.unwrap()
}

#[tokio::test]
async fn what_began_earlier_and_is_committed_later_is_not_lost() {
    let service = Service::start_with(&[QUICK], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let mut watcher = Watcher::open(&owner).await;
    let mut newest = by_time(&service, OffsetDateTime::UNIX_EPOCH).await.last().unwrap().1;
    let mut read_by_time = Vec::new();
    let mut read = async |read: &mut Vec<i64>| {
        for (position, time) in by_time(&service, newest).await {
            read.push(position);
            newest = time;
        }
    };
    // it begins, and its time is that of its beginning …
    let mut slow = sqlx::PgConnection::connect(&service.database.url).await.unwrap();
    let mut earlier = slow.begin().await.unwrap();
    sqlx::query("SELECT now()").execute(&mut *earlier).await.unwrap();
    // … another one comes and is committed …
    write(&service, &[1]).await;
    assert_eq!(watcher.positions_to(2).await, [2]);
    read(&mut read_by_time).await;
    // … and only then it writes: the lock gives it the later position
    for statement in [
        "UPDATE organization_heads SET event_position = event_position + 1 WHERE organization = 'acme'",
        "INSERT INTO events (organization, position, kind, create_time) \
         SELECT organization, event_position, 'RESENT', now() FROM organization_heads WHERE organization = 'acme'",
    ] {
        sqlx::query(statement).execute(&mut *earlier).await.unwrap();
    }
    earlier.commit().await.unwrap();
    assert_eq!(watcher.positions_to(3).await, [3]);
    // the control: who goes by time never hears of it
    write(&service, &[1]).await;
    assert_eq!(watcher.positions_to(4).await, [4]);
    read(&mut read_by_time).await;
    assert_eq!(read_by_time, [2, 4]);
    run(&service, "SELECT 1").await;
}
