//! How a stream ends: with a token, and where the right is gone, as a new one would.

use std::time::Duration;

use invitations::dev::mailbox::Script;
use tonic::{Code, Request};

use super::{QUICK, Watcher, watch, write};
use crate::support::{PATIENCE, Person, Service, reason};

async fn scene(settings: &[(&str, &str)]) -> (Service, Person) {
    let service = Service::start_with(&[&[QUICK], settings].concat(), Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    (service, owner)
}

/// It ends in peace, and nothing is lost.
async fn ends_in_peace(mut watcher: Watcher, service: &Service, again: &Person) {
    let (messages, end) = watcher.until_end().await;
    end.unwrap();
    let last = messages.back().expect("a last message");
    assert!(last.events.is_empty() && !last.resume_token.is_empty(), "{last:?}");
    write(service, &[1]).await;
    let next = super::head(service).await;
    assert_eq!(Watcher::resume(again, &watcher.token).await.positions_to(next).await, [next]);
}

#[tokio::test]
async fn at_its_age_it_ends_with_a_token() {
    let (service, owner) = scene(&[("watch_age_seconds", "1")]).await;
    ends_in_peace(Watcher::open(&owner).await, &service, &owner).await;
}

#[tokio::test]
async fn before_its_clients_deadline_it_ends_with_a_token() {
    let (service, owner) = scene(&[("max_deadline_seconds", "5")]).await;
    let mut request = Request::new(watch(""));
    request.set_timeout(Duration::from_secs(6));
    // the control: one without lives longer than any call
    let mut other = Watcher::open(&owner).await;
    ends_in_peace(Watcher::begin(&owner, request).await.unwrap(), &service, &owner).await;
    let position = super::head(&service).await;
    assert_eq!(other.positions_to(position).await, [position]);
}

#[tokio::test]
async fn when_the_service_ends_it_ends_at_once_with_a_token() {
    let (service, owner) = scene(&[("drain_timeout_seconds", "60")]).await;
    let other = service.replica(&[QUICK]).await;
    let mut watcher = Watcher::open(&owner).await;
    let began = std::time::Instant::now();
    let (stopped, (messages, end)) = tokio::join!(service.stop(), watcher.until_end());
    let () = stopped;
    end.unwrap();
    assert!(messages.back().is_some_and(|last| last.events.is_empty() && !last.resume_token.is_empty()));
    assert!(began.elapsed() < PATIENCE, "nobody waits for the end of the drain");
    drop(other);
}

#[tokio::test]
async fn who_loses_the_right_loses_the_stream() {
    let (service, owner) = scene(&[]).await;
    let security = service.member(&owner, "acme", "sam", "SECURITY_MANAGER").await;
    let manager = service.member(&owner, "acme", "max", "MANAGER").await;
    let (mut of_security, mut of_manager) = (Watcher::open(&security).await, Watcher::open(&manager).await);
    let mut of_owner = Watcher::open(&owner).await;
    owner.set_role("acme", "sam", "READER").await.unwrap();
    owner.remove("acme", "max").await.unwrap();
    assert_eq!(reason(of_security.until_end().await.1), "ROLE_REQUIRED");
    let (_, end) = of_manager.until_end().await;
    assert_eq!(end.as_ref().unwrap_err().code(), Code::NotFound);
    assert_eq!(reason(end), "ORGANIZATION_NOT_FOUND");
    // the same as if they were opened now
    assert_eq!(reason(Watcher::try_open(&security, watch("")).await.map(drop)), "ROLE_REQUIRED");
    assert_eq!(reason(Watcher::try_open(&manager, watch("")).await.map(drop)), "ORGANIZATION_NOT_FOUND");
    // the control
    let last = super::head(&service).await;
    assert_eq!(*of_owner.positions_to(last).await.last().unwrap(), last);
}

#[tokio::test]
async fn a_busy_stream_loses_it_as_well() {
    let (service, owner) = scene(&[]).await;
    let security = service.member(&owner, "acme", "sam", "SECURITY_MANAGER").await;
    let mut watcher = Watcher::open(&security).await;
    let busy = async {
        loop {
            write(&service, &[1]).await;
        }
    };
    owner.set_role("acme", "sam", "READER").await.unwrap();
    tokio::select! {
        (_, end) = watcher.until_end() => assert_eq!(reason(end), "ROLE_REQUIRED"),
        () = busy => {}
    }
}

#[tokio::test]
async fn a_token_that_runs_out_takes_the_stream_with_it() {
    let (service, owner) = scene(&[]).await;
    // within the leeway of 30 s it holds for 8 s more
    let expiring = Person::new(&service.channel, service.token_at("olga", "olga@example.com", -600, -22));
    let mut watcher = Watcher::open(&expiring).await;
    let (_, end) = watcher.until_end().await;
    assert_eq!(end.as_ref().unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(reason(end), "TOKEN_INVALID");
    // the control
    Watcher::open(&owner).await.message().await.unwrap();
}

#[tokio::test]
async fn while_the_database_is_away_streams_wait_and_go_on_where_they_were() {
    let (service, owner) = scene(&[]).await;
    let mut watcher = Watcher::open(&owner).await;
    write(&service, &[1]).await;
    assert_eq!(watcher.positions_to(2).await, [2]);
    let name = &service.database.name;
    service.database.execute_outside(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    service.database.end_sessions().await;
    // the test's own connection is one of before
    write(&service, &[1]).await;
    service.database.execute_outside(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    write(&service, &[1]).await;
    assert_eq!(watcher.positions_to(4).await, [3, 4]);
}
