//! The trail where it is not kept for ever: the oldest go, the rest is as before, and the service can do no more.

use std::time::Duration;

use invitations::pb;
use invitations::store::{pruning, roles};
use sqlx::AssertSqlSafe;

use super::{Old, Retention, Step, count, days, sweeper, turn};
use crate::support::{Person, Service};

/// Its events, by their positions.
async fn positions(owner: &Person) -> Vec<i64> {
    let message =
        pb::ListEventsRequest { parent: "organizations/acme".to_owned(), page_size: 200, ..Default::default() };
    let events = owner.organizations.clone().list_events(message).await.unwrap().into_inner().events;
    events.iter().map(|event| event.name.rsplit('/').next().unwrap().parse().unwrap()).collect()
}

/// Carries a statement out as the service, and says how many rows it has changed.
async fn as_service(service: &Service, statement: &str) -> Result<u64, String> {
    let pool = sqlx::PgPool::connect(&service.database.service_url).await.unwrap();
    let done = sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&pool).await;
    pool.close().await;
    done.map(|done| done.rows_affected())
        .map_err(|error| error.as_database_error().unwrap().code().unwrap().into_owned())
}

async fn may_change_events(service: &Service) -> bool {
    let pool = sqlx::PgPool::connect(&service.database.service_url).await.unwrap();
    roles::may_change_events(&pool).await.unwrap()
}

async fn allow(service: &Service, age: Option<Duration>) {
    assert!(pruning::allow(&service.database.url, "service", age).await.unwrap());
}

#[tokio::test]
async fn the_oldest_events_go_and_leave_no_gap() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    for n in 0..9 {
        owner.invite("acme", &format!("guest-{n}@example.com")).await.unwrap();
    }
    assert_eq!(positions(&owner).await, (1..=10).collect::<Vec<_>>());
    // a clock was wrong once: the fourth seems younger than the sixth
    let aged = "UPDATE events SET create_time = now() - CASE WHEN position = 4 THEN interval '2 days' \
                                                             WHEN position <= 6 THEN interval '31 days' ELSE interval '29 days' END";
    sqlx::query(aged).execute(service.pool()).await.unwrap();
    let sweeper = sweeper(&service, Retention { events: Some(days(30)), ..Retention::default() }).await;
    let step = Step::Old(Old::Events);

    // nothing goes where nobody has allowed it
    let swept = turn(&sweeper, step).await;
    assert!(swept.failures > 0 && swept.rows == 0);
    allow(&service, Some(days(1))).await;
    assert_eq!(turn(&sweeper, step).await.rows, 6);
    assert_eq!(positions(&owner).await, [7, 8, 9, 10]);
    owner.invite("acme", "late@example.com").await.unwrap();
    assert_eq!(positions(&owner).await, [7, 8, 9, 10, 11]);
    assert_eq!(owner.organization("acme").await.seats_taken, 1);
    // all of them: the next one is the twelfth all the same
    sqlx::query("UPDATE events SET create_time = now() - interval '31 days'").execute(service.pool()).await.unwrap();
    assert_eq!(turn(&sweeper, step).await.rows, 5);
    owner.invite("acme", "later@example.com").await.unwrap();
    assert_eq!(positions(&owner).await, [12]);
}

#[tokio::test]
async fn the_service_deletes_no_event_that_is_younger_than_it_may() {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    owner.invite("acme", "anna@example.com").await.unwrap();
    let aged = "UPDATE events SET create_time = now() - interval '31 days' WHERE position = 1";
    sqlx::query(aged).execute(service.pool()).await.unwrap();
    let denied = Err(INSUFFICIENT_PRIVILEGE.to_owned());
    assert_eq!(as_service(&service, "DELETE FROM events").await, denied);

    allow(&service, Some(days(30))).await;
    // again: nothing is to be done
    allow(&service, Some(days(30))).await;
    for statement in
        ["UPDATE events SET actor = 'accounts/eve'", "TRUNCATE events", "DROP POLICY events_read ON events"]
    {
        assert_eq!(as_service(&service, statement).await, denied, "{statement}");
    }
    assert!(!may_change_events(&service).await);
    assert_eq!(as_service(&service, "DELETE FROM events").await, Ok(1));
    assert_eq!(positions(&owner).await, [2], "reads and appends as before");
    // the control: what holds the service is the policy
    sqlx::query("ALTER TABLE events DISABLE ROW LEVEL SECURITY").execute(service.pool()).await.unwrap();
    assert!(may_change_events(&service).await);
    sqlx::query("ALTER TABLE events ENABLE ROW LEVEL SECURITY").execute(service.pool()).await.unwrap();

    // another age, and none
    allow(&service, Some(days(1))).await;
    assert_eq!(as_service(&service, "DELETE FROM events").await, Ok(0));
    allow(&service, None).await;
    assert_eq!(as_service(&service, "DELETE FROM events").await, denied);
    let policies = "SELECT count(*) FROM pg_policy WHERE polrelid = 'events'::regclass";
    assert_eq!(count(service.pool(), policies).await, 0);
    assert_eq!(positions(&owner).await, [2]);
}
