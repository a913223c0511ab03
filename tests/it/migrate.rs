//! What `migrate` says, and that it ends.

use std::process::{Output, Stdio};

use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use crate::program::quiet_port;
use crate::support::{Database, PATIENCE};

pub async fn migrate(database_url: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_invitations"));
    let command = command.arg("migrate").env_clear().env("INVITATIONS_DATABASE_URL", database_url).stdin(Stdio::null());
    command.output().await.unwrap()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn what_was_applied_is_said_or_that_there_was_nothing() {
    let database = Database::create_empty().await;
    let place = database.url.rsplit_once('@').unwrap().1.split('/').next().unwrap();
    let connecting = format!("connecting to {place}, for at most 30 s");
    let output = migrate(&database.url).await;
    assert!(output.status.success(), "{output:?}");
    let lines = text(&output.stdout).lines().collect::<Vec<_>>();
    let [first, applied @ .., last] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(**first, connecting);
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap().count();
    assert_eq!(applied.len(), files);
    assert!(applied.is_sorted() && applied.iter().all(|line| line.starts_with("applied 0")), "{applied:?}");
    assert_eq!(**last, format!("migrations applied: {files}"));

    let output = migrate(&database.url).await;
    let expected = format!("{connecting}\nthe schema is up to date, there was nothing to apply\n");
    assert_eq!(text(&output.stdout), expected);
}

#[tokio::test]
async fn what_went_wrong_is_said_as_it_is() {
    let database = Database::create_empty().await;
    database.execute("CREATE TABLE organizations (id text)").await;
    let (server, _) = database.url.rsplit_once('/').unwrap();
    for (url, said) in [
        (database.url.clone(), r#"relation "organizations" already exists (SQLSTATE 42P07)"#),
        (format!("{server}/nothing"), "the database cannot be reached: no such database (SQLSTATE 3D000)"),
        (format!("postgres://hub:hunter2@{}/hub", quiet_port()), "the database cannot be reached: connection refused"),
    ] {
        let output = migrate(&url).await;
        let line = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(line.ends_with(&format!("{said}\n")) && line.lines().count() == 1, "{line}");
        assert!(!line.contains("hunter2") && !line.contains("at line"), "{line}");
    }
}

#[tokio::test]
async fn a_database_that_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = silent.local_addr().unwrap();
    let url = format!("postgres://hub:hunter2@{place}/hub");
    let output = timeout(PATIENCE * 2, migrate(&url)).await.expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), format!("connecting to {place}, for at most 30 s\n"));
    assert_eq!(text(&output.stderr), "invitations: no connection to the database within 30 s\n");
}
