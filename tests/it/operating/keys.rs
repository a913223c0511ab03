//! Key files: which of them a database works with.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use invitations::server::Server;
use sqlx::Connection;
use tokio_util::sync::CancellationToken;

use crate::support::{Database, scratch, settings_for};

/// A key, by its id and the byte that its secret is made of.
pub(super) type Key = (&'static str, u8);

pub(super) fn file(path: &Path, keys: &[Key]) -> String {
    let lines = keys.iter().map(|(id, byte)| format!("{id} {}\n", BASE64_STANDARD.encode([*byte; 32])));
    std::fs::write(path, lines.collect::<String>()).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// Starts with these keys; the error, or nothing.
async fn start(database: &Database, codes: &[Key], address: Key) -> Result<Server, String> {
    let dir = scratch(&format!("{}_keys", database.name));
    let (codes, address) = (file(&dir.join("codes"), codes), file(&dir.join("address"), &[address]));
    let files = [("code_keys_file", codes.as_str()), ("address_key_file", address.as_str())];
    let settings = settings_for(&database.service_url, &dir, SocketAddr::from(([127, 0, 0, 1], 25)), &files);
    Server::start(&settings, &CancellationToken::new()).await.map_err(|error| error.to_string())
}

const ADDRESS: Key = ("a1", 5);

#[tokio::test]
async fn another_secret_under_a_known_id_is_refused_by_its_name() {
    let database = Database::create().await;
    start(&database, &[("k1", 1), ("k2", 2)], ADDRESS).await.unwrap();
    for (codes, id) in [
        (&[("k1", 9)][..], "k1"),
        (&[("k1", 1), ("k2", 9)][..], "k2"),
        (&[("k3", 3), ("k1", 2)][..], "k1"),
        // with a mark before it, it is the same id
        (&[("\u{feff}k1", 9)][..], "k1"),
    ] {
        let refused = start(&database, codes, ADDRESS).await.unwrap_err();
        assert!(refused.starts_with("setting code_keys_file (INVITATIONS_CODE_KEYS_FILE): "), "{refused}");
        assert!(refused.contains(&format!("{id:?}")) && !refused.contains('\n'), "{refused}");
    }
    // a key that is gone is not forgotten
    start(&database, &[("k2", 2)], ADDRESS).await.unwrap();
    assert!(start(&database, &[("k2", 2), ("k1", 9)], ADDRESS).await.is_err());
    start(&database, &[("k2", 2), ("\u{feff}k1", 1)], ADDRESS).await.unwrap();
}

#[tokio::test]
async fn replicas_with_different_files_start_while_keys_are_added_and_removed() {
    let database = Database::create().await;
    let mut replicas = Vec::new();
    for codes in [
        &[("k1", 1)][..],
        &[("k1", 1), ("k2", 2)],
        &[("k1", 1)],
        &[("k2", 2), ("k1", 1)],
        &[("k1", 1), ("k2", 2)],
        &[("k2", 2)],
        &[("k3", 1)],
    ] {
        replicas.push(start(&database, codes, ADDRESS).await.unwrap());
    }
    // at the same moment, on a new database
    let database = Database::create().await;
    let starts = tokio::join!(
        start(&database, &[("k1", 1)], ADDRESS),
        start(&database, &[("k1", 1), ("k2", 2)], ADDRESS),
        start(&database, &[("k2", 2), ("k1", 1)], ADDRESS),
    );
    assert!(starts.0.is_ok() && starts.1.is_ok() && starts.2.is_ok());
}

#[tokio::test]
async fn another_address_key_is_refused_whatever_its_id() {
    let database = Database::create().await;
    let codes = [("k1", 1)];
    start(&database, &codes, ADDRESS).await.unwrap();
    for other in [("a1", 6), ("a2", 6), ("\u{feff}a1", 1)] {
        let refused = start(&database, &codes, other).await.unwrap_err();
        assert!(refused.starts_with("setting address_key_file (INVITATIONS_ADDRESS_KEY_FILE): "), "{refused}");
    }
    for same in [ADDRESS, ("a2", 5), ("\u{feff}a1", 5)] {
        start(&database, &codes, same).await.unwrap();
    }
}

#[tokio::test]
async fn the_database_learns_no_key_and_the_service_cannot_change_what_it_knows() {
    let database = Database::create().await;
    start(&database, &[("k1", 1)], ADDRESS).await.unwrap();
    let known: Vec<(String, String, Vec<u8>)> =
        sqlx::query_as("SELECT kind, key_id, check_value FROM key_checks ORDER BY kind")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    let names = known.iter().map(|(kind, id, _)| (kind.as_str(), id.as_str())).collect::<Vec<_>>();
    assert_eq!(names, [("address", ""), ("code", "k1")]);
    for ((.., value), byte) in known.iter().zip([5, 1]) {
        assert_eq!(value.len(), 8);
        assert_ne!(value[..], [byte; 8]);
    }
    let mut service = sqlx::PgConnection::connect(&database.service_url).await.unwrap();
    for statement in [
        "UPDATE key_checks SET check_value = ''",
        "UPDATE key_checks SET create_time = now()",
        "DELETE FROM key_checks",
        "TRUNCATE key_checks",
    ] {
        let refused = sqlx::raw_sql(statement).execute(&mut service).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"), "{statement}");
    }
}
