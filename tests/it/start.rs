//! The start: which databases the service works with, and what it says about the others.

use std::net::SocketAddr;
use std::time::Duration;

use invitations::server::Server;
use invitations::store::migrations;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::admin::{health, is_serving};
use crate::program::{Program, issuers, quiet_port};
use crate::support::{Database, PATIENCE, evidence, scratch, settings_for, values_for};

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
    assert!(!migrations::run(&database.url).await.unwrap().is_empty());
    assert_eq!(start_on(&database.url, "too_old").await, None);
    assert!(migrations::run(&database.url).await.unwrap().is_empty());
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
    assert!(migrations::run(&database.url).await.unwrap().is_empty());
}

/// Starts on a database that does not let us in, until the log has a line of that with all these words.
pub async fn waits(database_url: &str, folder: &str, words: &[&str]) {
    let smtp = SocketAddr::from(([127, 0, 0, 1], 25));
    let settings = settings_for(database_url, &scratch(folder), smtp, &[]);
    let stop = CancellationToken::new();
    let logged = evidence::logged();
    tokio::select! {
        started = Server::start(&settings, &stop) => panic!("{started:?}"),
        said = timeout(PATIENCE, has_said(logged, words)) => said.unwrap_or_else(|_| panic!("it says nothing of {words:?}")),
    }
}

async fn has_said(logged: u64, words: &[&str]) {
    let is_it =
        |line: &str| line.contains("waiting for the database") && words.iter().all(|words| line.contains(words));
    while !evidence::log_since(logged).lines().any(is_it) {
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_waited_for_alive_and_not_ready() {
    let database = Database::create().await;
    let (rest, name) = database.url.rsplit_once('/').unwrap();
    let (user, there) = rest.rsplit_once('@').unwrap();
    let (away, admin) = (quiet_port(), quiet_port());
    let url = format!("{user}@{away}/{name}");
    let smtp = SocketAddr::from(([127, 0, 0, 1], 25));
    let settings = settings_for(&url, &scratch("away"), smtp, &[("admin_listen", &admin.to_string())]);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let logged = evidence::logged();
    let place = away.to_string();
    let words = [place.as_str(), "connection refused"];
    let mut starting = tokio::spawn(async move { Server::start(&settings, &stopped).await });
    tokio::select! {
        started = &mut starting => panic!("{started:?}"),
        said = timeout(PATIENCE, has_said(logged, &words)) => said.unwrap(),
    }
    assert_eq!(health(admin, "liveness").await.unwrap(), ServingStatus::Serving);
    assert_eq!(health(admin, "").await.unwrap(), ServingStatus::NotServing);

    // it is back
    let listener = TcpListener::bind(away).await.unwrap();
    let there = there.to_owned();
    let passing_on = tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(&there).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let server = timeout(PATIENCE, starting).await.unwrap().unwrap().unwrap();
    is_serving(admin).await;
    stop.cancel();
    server.finished().await.unwrap();
    passing_on.abort();
}

#[tokio::test]
async fn what_keeps_the_service_out_is_said() {
    let database = Database::create().await;
    let wrong = database.service_url.replacen(":service@", ":hunter2@", 1);
    assert_ne!(wrong, database.service_url);
    waits(&wrong, "wrong_password", &["password refused (SQLSTATE 28P01)"]).await;
    let (server, _) = database.service_url.rsplit_once('/').unwrap();
    waits(&format!("{server}/nothing"), "no_database", &["no such database (SQLSTATE 3D000)"]).await;
}

#[tokio::test]
async fn a_program_that_waits_for_its_database_ends_at_once_when_told_to() {
    let dir = scratch("stopped_early");
    let issuers = issuers(&dir);
    let smtp = SocketAddr::from(([127, 0, 0, 1], 25));
    // one port is closed, behind the other nobody answers
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for place in [quiet_port(), silent.local_addr().unwrap()] {
        let url = format!("postgres://hub:hunter2@{place}/hub");
        let mut program = Program::start(&dir, &values_for(&url, &dir, smtp, &[("issuers", &issuers)]));
        let waiting = async {
            while !program.log().contains("waiting for the database") {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("it waits");
        program.signal("TERM").await;
        let (status, _) = program.ended(Duration::from_secs(2)).await.expect("it ends");
        assert!(status.success(), "{status}: {}", program.log());
        assert!(program.log().contains(&place.to_string()) && !program.log().contains("hunter2"), "{}", program.log());
    }
}
