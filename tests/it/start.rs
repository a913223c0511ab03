//! The start: which databases the service works with, and what it says about the others.

use std::net::SocketAddr;

use invitations::server::Server;
use invitations::store::migrations;
use tokio_util::sync::CancellationToken;

use crate::support::{Database, scratch, settings_for};

/// What the start says, or nothing where it succeeds.
async fn start_on(database_url: &str, folder: &str) -> Option<String> {
    let smtp = SocketAddr::from(([127, 0, 0, 1], 25));
    let settings = settings_for(database_url, &scratch(folder), smtp, &[]);
    let stop = CancellationToken::new();
    match Server::start(&settings, &stop).await {
        Ok(server) => {
            stop.cancel();
            server.finished().await.unwrap();
            None
        }
        Err(error) => Some(error.to_string()),
    }
}

#[tokio::test]
async fn a_schema_that_is_too_old_is_refused_with_the_command_to_run() {
    let database = Database::create_empty().await;
    let refused = start_on(&database.url, "too_old").await.unwrap();
    assert!(refused.contains("invitations migrate"), "{refused}");
    assert!(migrations::run(&database.url).await.unwrap() > 0);
    assert_eq!(start_on(&database.url, "too_old").await, None);
    assert_eq!(migrations::run(&database.url).await.unwrap(), 0);
}

#[tokio::test]
async fn a_schema_of_the_next_release_is_fine() {
    let database = Database::create().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'of the next release', true, '', 0)",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    assert_eq!(start_on(&database.url, "next_release").await, None);
    // and its job runs, should the release be rolled back
    assert_eq!(migrations::run(&database.url).await.unwrap(), 0);
}

#[tokio::test]
async fn a_database_that_is_not_there_ends_the_start() {
    let refused = start_on("postgres://nobody:secret@127.0.0.1:1/nothing", "no_database").await.unwrap();
    assert!(refused.contains("cannot be reached") && !refused.contains("secret"), "{refused}");
}
