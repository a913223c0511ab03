//! `distribute` and `migrate`, as the operator of a distributed database runs them.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use invitations::store::pool::Engine;
use invitations::store::{distribution, roles};
use sqlx::Connection;

use crate::support::Database;

fn program(database: &Database, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_invitations"));
    program.args(arguments).env_clear().env("INVITATIONS_DATABASE_URL", &database.url).envs(settings.iter().copied());
    program.output().unwrap()
}

/// The tables of the schema.
async fn tables(database: &Database) -> BTreeSet<String> {
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    sqlx::query_scalar(tables).fetch_all(&database.pool).await.unwrap().into_iter().collect()
}

#[tokio::test]
async fn every_table_of_the_schema_is_distributed_by_the_key_of_the_schema_rules() {
    let database = Database::create().await;
    let printed = program(&database, &["distribute"], &[]);
    assert!(printed.status.success());
    let printed = String::from_utf8(printed.stdout).unwrap();
    let listed = distribution::statements().into_iter().map(|(table, statement)| {
        assert!(printed.contains(&format!("{statement};\n")), "{printed}");
        assert!(statement.contains(&format!("('{table}'")), "{statement}");
        table.to_owned()
    });
    let listed = listed.collect::<BTreeSet<_>>();
    assert_eq!(tables(&database).await, listed);

    let rules = include_str!("../../schema_rules.sql");
    for (key, of_key) in distribution::GROUPS {
        for table in of_key {
            assert!(rules.contains(&format!("('{table}','{key}')")), "{table} by {key}");
        }
    }
    for table in distribution::COPIED {
        assert!(rules.contains(&format!("('{table}',NULL)")), "{table}");
    }
    // the control: a table that nobody has given a place
    database.execute("CREATE TABLE forgotten (id int PRIMARY KEY)").await;
    assert_ne!(tables(&database).await, listed);
}

#[tokio::test]
async fn a_database_without_citus_is_told_so_and_stays_as_it_is() {
    let database = Database::create().await;
    let refused = program(&database, &["distribute", "--apply"], &[]);
    let line = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{line}");
    assert!(line.contains("CREATE EXTENSION citus") && line.matches('\n').count() == 1, "{line}");
}

#[tokio::test]
async fn migrate_gives_the_service_role_the_timeouts_and_says_where_it_may_not() {
    let role = "test_timeouts";
    let database = Database::create().await.used_by(role).await;
    let missing = async || {
        let mut connection = sqlx::PgConnection::connect(&database.service_url).await.unwrap();
        roles::missing_timeouts(&mut connection).await.unwrap()
    };
    let all = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];
    assert_eq!(missing().await, all);
    let migrated = program(&database, &["migrate"], &[("INVITATIONS_DATABASE_SERVICE_ROLE", role)]);
    let said = String::from_utf8(migrated.stdout).unwrap();
    assert!(migrated.status.success() && said.contains(&format!("timeouts of {role}: those of the service")), "{said}");
    assert_eq!(missing().await, [""; 0]);
    // one that is switched off is as good as none
    database.execute(&format!("ALTER ROLE {role} SET lock_timeout = 0")).await;
    assert_eq!(missing().await, ["lock_timeout"]);

    // somebody who may not change that role
    let other = "test_timeouts_of_another";
    roles::make(&database.url, other, "first").await.unwrap();
    assert!(!roles::limit(&database.service_url, other, Engine::Single).await.unwrap());
    assert!(roles::limit(&database.url, other, Engine::Single).await.unwrap());
}
