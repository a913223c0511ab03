//! A database that takes no changes for a while, by each way in which providers do that.

use std::time::Duration;

use invitations::dev::mailbox::Script;
use invitations::store::connection::Own;
use invitations::store::pool::{Purpose, writable};
use invitations::store::roles;
use tokio::time::timeout;
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::{CHARGING, calls};
use crate::own_postgres::OwnPostgres;
use crate::support::{Database, Person, Service};

/// Within so long health follows, both ways.
const NOTICED: Duration = Duration::from_secs(6);

struct Watched {
    service: Service,
    owner: Person,
    health: Streaming<HealthCheckResponse>,
}

impl Watched {
    async fn start(database: Database) -> Self {
        let service = Service::start_on(database, &CHARGING, Script::accept_all()).await;
        let owner = service.owner("olga", "acme").await;
        assert!(calls(&service, &owner, 0).await.iter().all(|(_, code)| *code == Code::Ok), "the control");
        let mut client = HealthClient::new(service.channel.clone());
        let health = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        let mut watched = Self { service, owner, health };
        watched.becomes(ServingStatus::Serving, "at first").await;
        watched
    }

    async fn becomes(&mut self, status: ServingStatus, how: &str) {
        let following = async { while self.health.message().await.unwrap().unwrap().status() != status {} };
        assert!(timeout(NOTICED, following).await.is_ok(), "{how}: health does not become {status:?}");
    }

    /// Health has said so, and nothing else since.
    async fn is_still(&mut self, status: ServingStatus, how: &str) {
        let change = timeout(Duration::from_millis(1), self.health.message()).await;
        assert!(change.is_err(), "{how}: {change:?} after {status:?}");
    }

    /// Everything works at once, as soon as health says so.
    async fn works(&mut self, nth: usize, how: &str) {
        let failed = calls(&self.service, &self.owner, nth).await;
        let failed = failed.into_iter().filter(|(_, code)| *code != Code::Ok).collect::<Vec<_>>();
        assert!(failed.is_empty(), "{how}: {failed:?}");
    }

    /// No call is an accident of ours; those that change something wait for better times.
    async fn takes_no_changes(&self, nth: usize, how: &str) {
        for (call, code) in calls(&self.service, &self.owner, nth).await {
            let expected =
                if call.starts_with("Get") || call.starts_with("List") { Code::Ok } else { Code::Unavailable };
            assert_eq!(code, expected, "{how}: {call}");
        }
    }
}

#[tokio::test]
async fn settings_of_the_database_and_of_the_role_stop_changes_and_health_follows() {
    let role = "test_read_only";
    let database = Database::create().await.used_by(role).await;
    let name = database.name.clone();
    let mut watched = Watched::start(database).await;
    let ways = [
        (format!("DATABASE {name}"), true),
        (format!("DATABASE {name}"), false),
        (format!("ROLE {role}"), true),
        (format!("ROLE {role}"), false),
        (format!("ROLE {role} IN DATABASE {name}"), true),
        (format!("ROLE ALL IN DATABASE {name}"), false),
    ];
    for (n, (whose, ends_sessions)) in ways.into_iter().enumerate() {
        let how = format!("ALTER {whose}, sessions ended: {ends_sessions}");
        let database = &watched.service.database;
        database.execute_outside(&format!("ALTER {whose} SET default_transaction_read_only = on")).await;
        if ends_sessions {
            database.end_sessions().await;
        }
        watched.becomes(ServingStatus::NotServing, &how).await;
        if ends_sessions {
            watched.takes_no_changes(10 * n + 1, &how).await;
        }
        let database = &watched.service.database;
        database.execute_outside(&format!("ALTER {whose} RESET default_transaction_read_only")).await;
        watched.becomes(ServingStatus::Serving, &how).await;
        watched.works(10 * n + 2, &how).await;
    }
    // the neighbours: what is set for others is nothing to us
    let database = &watched.service.database;
    let (other, role) = (Database::create().await, "test_read_only_other");
    roles::make(&database.url, role, "other").await.unwrap();
    for whose in [format!("DATABASE {}", other.name), format!("ROLE {role}"), format!("ROLE {role} IN DATABASE {name}")]
    {
        database.execute_outside(&format!("ALTER {whose} SET default_transaction_read_only = on")).await;
    }
    tokio::time::sleep(NOTICED).await;
    watched.is_still(ServingStatus::Serving, "settings of others").await;
}

#[tokio::test]
async fn of_several_settings_the_one_that_a_new_session_gets_counts() {
    let role = "test_read_only_both";
    let database = Database::create().await.used_by(role).await;
    let (name, mut own) = (&database.name, Own::new(&database.service_url, Purpose::Read).unwrap());
    let set = async |whose: &str, value: &str| {
        database.execute_outside(&format!("ALTER {whose} SET default_transaction_read_only = {value}")).await;
    };
    let (of_database, of_role) = (format!("DATABASE {name}"), format!("ROLE {role}"));
    let of_both = format!("ROLE {role} IN DATABASE {name}");
    assert!(own.run(writable).await.unwrap().anew);
    for (whose, value, expected) in [
        (&of_database, "true", false),
        (&of_role, "off", true),
        (&of_both, "'YES'", false),
        (&of_role, "1", false),
        (&of_both, "no", true),
        (&of_database, "off", true),
    ] {
        set(whose, value).await;
        assert_eq!(own.run(writable).await.unwrap().anew, expected, "{whose} = {value}");
        let mut new = Own::new(&database.service_url, Purpose::Read).unwrap();
        assert_eq!(new.run(writable).await.unwrap().now, expected, "{whose} = {value}: the control");
        new.close().await;
    }
}

#[tokio::test]
async fn a_setting_of_the_whole_server_and_a_demotion_stop_changes_and_health_follows() {
    let (mut server, database) = OwnPostgres::start("demoted").await;
    let mut watched = Watched::start(database).await;
    let execute = async |watched: &Watched, statement: &str| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(watched.service.pool()).await.unwrap();
    };
    let how = "ALTER SYSTEM";
    execute(&watched, "ALTER SYSTEM SET default_transaction_read_only = on").await;
    execute(&watched, "SELECT pg_reload_conf()").await;
    watched.becomes(ServingStatus::NotServing, how).await;
    watched.takes_no_changes(1, how).await;
    execute(&watched, "ALTER SYSTEM RESET default_transaction_read_only").await;
    execute(&watched, "SELECT pg_reload_conf()").await;
    watched.becomes(ServingStatus::Serving, how).await;
    watched.works(2, how).await;

    let how = "a demotion";
    server.end("INT").await;
    server.set_standby(true);
    server.start_again().await;
    watched.becomes(ServingStatus::NotServing, how).await;
    watched.takes_no_changes(3, how).await;
    server.end("INT").await;
    server.set_standby(false);
    server.start_again().await;
    watched.becomes(ServingStatus::Serving, how).await;
    watched.works(4, how).await;
    watched.service.stop().await;
}
