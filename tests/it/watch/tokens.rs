//! Where a stream goes on, and what is no place of it.

use invitations::dev::mailbox::Script;
use invitations::pb;

use super::{QUICK, Watcher, head, prune, run, watch, write};
use crate::support::{Person, Service, bad_fields, named, reason};

async fn scene() -> (Service, Person) {
    let service = Service::start_with(&[QUICK], Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    (service, owner)
}

#[tokio::test]
async fn a_stream_begins_with_a_token_and_goes_on_after_it() {
    let (service, owner) = scene().await;
    let mut watcher = Watcher::open(&owner).await;
    let first = watcher.token.clone();
    owner.invite("acme", "anna@example.com").await.unwrap();
    let message = watcher.happened().await;
    assert_eq!(message.events.len(), 1);
    assert_eq!(
        (message.events[0].kind(), &*message.events[0].name),
        (pb::event::Kind::Invited, "organizations/acme/events/2")
    );
    let second = watcher.token.clone();
    drop(watcher);
    write(&service, &[1, 2]).await;
    assert_eq!(Watcher::resume(&owner, &first).await.positions_to(5).await, [2, 3, 4, 5]);
    assert_eq!(Watcher::resume(&owner, &second).await.positions_to(5).await, [3, 4, 5]);
    // the control: without one, what happens from now on
    let mut late = Watcher::open(&owner).await;
    write(&service, &[1]).await;
    assert_eq!(late.positions_to(6).await, [6]);
}

#[tokio::test]
async fn a_token_is_good_for_its_organization_and_filter_only() {
    let (service, owner) = scene().await;
    owner.create_organization("beta").await.unwrap();
    let filter = "kind = INVITED";
    let token = Watcher::open(&owner).await.token;
    let filtered =
        Watcher::try_open(&owner, pb::WatchEventsRequest { filter: filter.into(), ..watch("") }).await.unwrap().token;
    let open = async |parent: &str, filter: &str, resume_token: &str| {
        let message = pb::WatchEventsRequest {
            parent: parent.into(),
            filter: filter.into(),
            resume_token: resume_token.into(),
            send_initial: false,
        };
        Watcher::try_open(&owner, message).await.map(drop)
    };
    let acme = "organizations/acme";
    open(acme, "", &token).await.unwrap();
    open(acme, filter, &filtered).await.unwrap();
    let list = pb::ListMembersRequest { parent: acme.into(), page_size: 1, ..Default::default() };
    let of_a_list = owner.organizations.clone().list_members(list).await.unwrap().into_inner().next_page_token;
    for (parent, filter, token) in [
        (acme, filter, &token),
        (acme, "", &filtered),
        ("organizations/beta", "", &token),
        (acme, "", &of_a_list),
        (acme, "", &"x".to_owned()),
        (acme, "", &token.replace(|c: char| c.is_ascii_digit(), "A")),
    ] {
        if token.is_empty() {
            continue;
        }
        let refused = open(parent, filter, token).await;
        let status = refused.clone().unwrap_err();
        assert_eq!(reason(refused), "RESUME_TOKEN_INVALID", "{parent} {filter} {token}");
        assert_eq!(bad_fields(&status), ["resume_token"]);
    }
    let both = pb::WatchEventsRequest { send_initial: true, ..watch(&token) };
    assert_eq!(bad_fields(&Watcher::try_open(&owner, both).await.map(drop).unwrap_err()), ["send_initial"]);
    service.stop().await;
}

#[tokio::test]
async fn a_place_of_another_history_is_refused() {
    let (service, owner) = scene().await;
    write(&service, &[1]).await;
    let second = Watcher::open(&owner).await.token;
    write(&service, &[1, 1]).await;
    let fourth = Watcher::open(&owner).await.token;
    // a backup of before the third
    run(&service, "DELETE FROM events WHERE position > 2; UPDATE organization_heads SET event_position = 2").await;
    assert_eq!(reason(Watcher::try_open(&owner, watch(&fourth)).await.map(drop)), "RESUME_TOKEN_INVALID");
    // others have taken the positions since
    write(&service, &[1, 1, 1]).await;
    assert_eq!(reason(Watcher::try_open(&owner, watch(&fourth)).await.map(drop)), "RESUME_TOKEN_INVALID");
    // the control: what is the same in both
    assert_eq!(Watcher::resume(&owner, &second).await.positions_to(5).await, [3, 4, 5]);
}

#[tokio::test]
async fn a_place_whose_next_event_is_gone_has_expired() {
    let (service, owner) = scene().await;
    let first = Watcher::open(&owner).await.token;
    write(&service, &[3]).await;
    let fourth = Watcher::open(&owner).await.token;
    let expired = async |token: &str, earliest: i64| {
        let refused = Watcher::try_open(&owner, watch(token)).await.map(drop);
        assert_eq!(refused.as_ref().unwrap_err().code(), tonic::Code::OutOfRange);
        assert_eq!(named(&refused, "earliest_position"), earliest.to_string());
        assert_eq!(named(&refused, "organization"), "organizations/acme");
        assert_eq!(reason(refused), "RESUME_TOKEN_EXPIRED");
    };
    // the event of the place itself is not needed
    prune(&service, 1).await;
    assert_eq!(Watcher::resume(&owner, &first).await.positions_to(4).await, [2, 3, 4]);
    prune(&service, 2).await;
    expired(&first, 3).await;
    prune(&service, 4).await;
    expired(&first, 5).await;
    // nothing has come after it
    let mut watcher = Watcher::resume(&owner, &fourth).await;
    write(&service, &[1]).await;
    assert_eq!(watcher.positions_to(5).await, [5]);
    prune(&service, 5).await;
    expired(&fourth, 6).await;
    assert_eq!(head(&service).await, 5);
}

#[tokio::test]
async fn a_stream_whose_next_event_goes_before_it_is_read_ends_and_leaves_nothing_out() {
    let (service, owner) = scene().await;
    let mut watcher = Watcher::open(&owner).await;
    let gone = |deleted: &str| {
        format!(
            "BEGIN; UPDATE organization_heads SET event_position = event_position + 3 WHERE organization = 'acme'; \
             INSERT INTO events (organization, position, kind) SELECT 'acme', event_position + n, 'RESENT' \
               FROM organization_heads, generate_series(-2, 0) n WHERE organization = 'acme'; {deleted} COMMIT"
        )
    };
    // the control
    run(&service, &gone("")).await;
    assert_eq!(watcher.positions_to(4).await, [2, 3, 4]);
    run(&service, &gone("DELETE FROM events WHERE position <= 5;")).await;
    let (messages, end) = watcher.until_end().await;
    assert!(messages.iter().all(|message| message.events.is_empty()), "{messages:?}");
    assert_eq!(named(&end, "earliest_position"), "6");
    assert_eq!(reason(end), "RESUME_TOKEN_EXPIRED");
    // and who watches since goes on
    let mut watcher = Watcher::open(&owner).await;
    write(&service, &[1]).await;
    assert_eq!(watcher.positions_to(8).await, [8]);
}

#[tokio::test]
async fn a_filter_that_hides_all_moves_the_token_on() {
    let (service, owner) = scene().await;
    let filtered = |token: &str| pb::WatchEventsRequest { filter: "kind = REVOKED".into(), ..watch(token) };
    let mut watcher = Watcher::try_open(&owner, filtered("")).await.unwrap();
    let mut all = Watcher::open(&owner).await;
    let first = watcher.token.clone();
    let invited = owner.invite("acme", "anna@example.com").await.unwrap();
    all.positions_to(2).await;
    let moved = loop {
        let hidden = watcher.message().await.unwrap();
        assert!(hidden.events.is_empty());
        // some may have been on their way
        if hidden.resume_token != first {
            break hidden;
        }
    };
    // so it is good for longer
    prune(&service, 2).await;
    let mut resumed = Watcher::try_open(&owner, filtered(&moved.resume_token)).await.unwrap();
    assert_eq!(reason(Watcher::try_open(&owner, filtered(&first)).await.map(drop)), "RESUME_TOKEN_EXPIRED");
    owner.revoke(&invited.name).await.unwrap();
    for watcher in [&mut watcher, &mut resumed] {
        let event = watcher.happened().await.events.remove(0);
        assert_eq!((event.kind(), event.invitation), (pb::event::Kind::Revoked, invited.name.clone()));
    }
}
