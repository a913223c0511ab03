//! Sessions that the server ends or refuses: calls go on, or are UNAVAILABLE and work later; none is an accident of ours.

use std::time::Duration;

use invitations::dev::mailbox::Script;
use tokio::time::sleep;
use tonic::Code;

use super::{CHARGING, calls};
use crate::support::{Database, PATIENCE, Service, patiently};

/// A connection that was not asked for so long is asked before it is used.
const ASKED: Duration = Duration::from_millis(1100);

#[tokio::test]
async fn after_a_quiet_time_that_ended_the_sessions_calls_work_at_once() {
    let database = Database::create().await;
    let name = database.name.clone();
    database.execute_outside(&format!("ALTER DATABASE {name} SET idle_session_timeout = '1200ms'")).await;
    let settings = [&CHARGING[..], &[("mail_poll_interval_seconds", "2")]].concat();
    let service = Service::start_on(database, &settings, Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    for nth in 0..2 {
        sleep(Duration::from_millis(2500)).await;
        for (call, code) in calls(&service, &owner, nth).await {
            assert_eq!(code, Code::Ok, "{call} after a quiet time");
        }
        // the mail workers have had theirs ended, too
        service.email_to(&format!("guest-{nth}@example.com"), 1).await;
    }
    // the same for whatever ends them: an operator, a restart
    service.database.end_sessions().await;
    sleep(ASKED).await;
    for (call, code) in calls(&service, &owner, 2).await {
        assert_eq!(code, Code::Ok, "{call} after all sessions were ended");
    }
}

#[tokio::test]
async fn sessions_that_are_ended_between_calls_are_made_anew() {
    let service = Service::start_with(&CHARGING, Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    for nth in 0..5 {
        service.database.end_sessions().await;
        for (call, code) in calls(&service, &owner, nth).await {
            assert_eq!(code, Code::Ok, "{call}");
        }
    }
}

/// What the server refuses new sessions with, by SQLSTATE.
#[tokio::test]
async fn a_server_that_lets_nobody_in_is_unavailable_and_later_it_is_not() {
    let role = "test_refused";
    let database = Database::create().await.used_by(role).await;
    let name = database.name.clone();
    let service = Service::start_on(database, &CHARGING, Script::accept_all()).await;
    let owner = service.owner("olga", "acme").await;
    let ways = [
        ("28000", format!("ALTER ROLE {role} NOLOGIN"), format!("ALTER ROLE {role} LOGIN")),
        ("28P01", format!("ALTER ROLE {role} PASSWORD 'second'"), format!("ALTER ROLE {role} PASSWORD 'first'")),
        (
            "28P01",
            format!("ALTER ROLE {role} VALID UNTIL '2000-01-01'"),
            format!("ALTER ROLE {role} VALID UNTIL 'infinity'"),
        ),
        ("53300", format!("ALTER ROLE {role} CONNECTION LIMIT 0"), format!("ALTER ROLE {role} CONNECTION LIMIT -1")),
        (
            "53300",
            format!("ALTER DATABASE {name} CONNECTION LIMIT 0"),
            format!("ALTER DATABASE {name} CONNECTION LIMIT -1"),
        ),
        (
            "55000",
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
        ),
        (
            "42501",
            format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"),
            format!("GRANT CONNECT ON DATABASE {name} TO PUBLIC"),
        ),
    ];
    for (nth, (state, refuse, admit)) in ways.iter().enumerate() {
        service.database.execute_outside(refuse).await;
        service.database.end_sessions().await;
        for (call, code) in calls(&service, &owner, 2 * nth).await {
            assert_eq!(code, Code::Unavailable, "{state}, {refuse}: {call}");
        }
        service.database.execute_outside(admit).await;
        sleep(ASKED).await;
        for (call, code) in calls(&service, &owner, 2 * nth + 1).await {
            assert_eq!(code, Code::Ok, "after {state}, {refuse}: {call}");
        }
    }
}

/// The neighbour: what is ours stays an accident of ours, and is not retried for ever.
#[tokio::test]
async fn a_table_that_is_not_there_is_no_outage() {
    let service = Service::start().await;
    let owner = service.owner("olga", "acme").await;
    service.database.execute("ALTER TABLE members RENAME TO lost").await;
    let found = tokio::time::timeout(PATIENCE, patiently(async || owner.member("acme", "olga").await)).await.unwrap();
    assert_eq!(found.unwrap_err().code(), Code::Internal);
}
