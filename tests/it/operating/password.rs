//! A password that is changed while the service runs, as a vault does it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use invitations::config::Origin;
use invitations::dev::issuer;
use invitations::dev::mailbox::Script;
use invitations::server::Server;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::calls;
use crate::support::{Database, PATIENCE, Service, settings_for};

/// Replaces what the file holds, as editors and Kubernetes do: with a line end, or a mark before it.
fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

/// The service with its URL from a file, which `written` makes of a URL.
async fn start(
    database: Database,
    origin: impl FnOnce(&Path) -> Origin,
    written: fn(&str) -> String,
) -> (Service, Server) {
    let start = async |database: &Database, dir: &Path, smtp| {
        let path = dir.join("database_url");
        write(&path, &written(&database.service_url));
        let mut settings = settings_for(&database.service_url, dir, smtp, &[]);
        settings.database.origin = origin(&path);
        let server = Server::start(&settings, &CancellationToken::new()).await.unwrap();
        (server.address(), server)
    };
    Service::around(database, Script::accept_all(), start).await
}

async fn a_changed_password_is_taken(role: &str, origin: impl FnOnce(&Path) -> Origin, written: fn(&str) -> String) {
    let database = Database::create().await.used_by(role).await;
    let (service, _server) = start(database, origin, written).await;
    let owner = service.owner("olga", "acme").await;
    let path = service.dir.join("database_url");

    // before anybody has told us
    service.database.execute_outside(&format!("ALTER ROLE {role} PASSWORD 'second'")).await;
    service.database.end_sessions().await;
    for (call, code) in calls(&service, &owner, 0).await {
        assert_eq!(code, Code::Unavailable, "{call}");
    }
    // the neighbour: a file that is written at this moment
    write(&path, "postgres");
    for (call, code) in calls(&service, &owner, 1).await {
        assert_eq!(code, Code::Unavailable, "{call}");
    }
    write(&path, &written(&service.database.service_url.replace(":first@", ":second@")));
    // what was in use when the sessions were ended shows within a second
    sleep(Duration::from_millis(1100)).await;
    for (call, code) in calls(&service, &owner, 2).await {
        assert_eq!(code, Code::Ok, "{call}");
    }
}

#[tokio::test]
async fn a_password_from_a_file_is_read_anew() {
    let origin = |path: &Path| Origin::File(path.to_owned());
    a_changed_password_is_taken("test_password_file", origin, |url| format!("\u{feff}{url}\r\n")).await;
}

#[tokio::test]
async fn a_password_in_the_configuration_file_is_read_anew() {
    let origin = |path: &Path| Origin::Config(path.to_owned());
    a_changed_password_is_taken("test_password_config", origin, |url| format!("[database]\nurl = '{url}'\n")).await;
}

struct Serve(Child);

impl Drop for Serve {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// Waits until it is so.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(2 * PATIENCE, waiting).await.is_ok(), "{what}");
}

#[tokio::test]
async fn the_real_program_says_that_its_password_is_refused_and_takes_the_new_one() {
    let role = "test_password_process";
    let database = Database::create().await.used_by(role).await;
    let dir = crate::support::scratch("password_process");
    let settings = settings_for(&database.service_url, &dir, SocketAddr::from(([127, 0, 0, 1], 25)), &[]);
    drop(settings);
    let mut entries = serde_json::to_value(issuer::entries(&dir).unwrap()).unwrap();
    let jwks = entries[0].get("jwks_file").cloned();
    entries = serde_json::json!([{
        "id": "hub", "kind": "user", "issuer": "https://id.example", "audience": "hub", "typ": "at+jwt",
        "provider": "hub", "email_domains": ["example.com"], "jwks_file": jwks.unwrap(),
    }]);
    let url_file = dir.join("url");
    write(&url_file, &format!("{}\n", database.service_url));
    fs::set_permissions(&url_file, fs::Permissions::from_mode(0o600)).unwrap();
    let log = dir.join("log");
    let serve = Command::new(env!("CARGO_BIN_EXE_invitations"))
        .arg("serve")
        .env_clear()
        .env("INVITATIONS_LISTEN", "127.0.0.1:0")
        .env("INVITATIONS_DATABASE_URL_FILE", &url_file)
        .env("INVITATIONS_PUBLIC_BASE_URL", "https://hub.example")
        .env("INVITATIONS_CODE_KEYS_FILE", dir.join("code-keys"))
        .env("INVITATIONS_ADDRESS_KEY_FILE", dir.join("address-key"))
        .env("INVITATIONS_ISSUERS", entries.to_string())
        .env("INVITATIONS_SMTP_HOST", "127.0.0.1")
        .env("INVITATIONS_SMTP_TLS", "none")
        .env("INVITATIONS_MAIL_FROM", "hub@hub.example")
        .stderr(Stdio::from(File::create(&log).unwrap()))
        .spawn()
        .unwrap();
    let _serve = Serve(serve);
    let said = || fs::read_to_string(&log).unwrap();
    let has_sessions = async || -> bool {
        let sessions = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = $1)";
        sqlx::query_scalar(sessions).bind(role).fetch_one(&database.pool).await.unwrap()
    };
    until("it connects", async || has_sessions().await).await;
    until("it is ready", async || said().contains("health has changed")).await;

    database.execute_outside(&format!("ALTER ROLE {role} PASSWORD 'second'")).await;
    database.end_sessions().await;
    // by each that needs a connection; the last line below comes only after readiness has noticed
    until("it says so", async || {
        said().contains("takes no changes\",\"why\":\"database unavailable: password refused")
    })
    .await;
    assert!(!said().contains("first@") && !said().contains("second@"), "no password is in the log");
    write(&url_file, &format!("{}\n", database.service_url.replace(":first@", ":second@")));
    until("it connects again", async || has_sessions().await).await;
    until("it says so", async || said().contains("the database takes changes again")).await;
}
