//! Tasks that live as long as the service: without one of them it ends.

use std::time::Duration;

use invitations::dev::mailbox::Script;
use invitations::server::Server;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{Database, PATIENCE, Service, evidence, scratch, settings_for};

/// A service with a listener of each kind.
async fn start(database: &Database, dir: &std::path::Path, smtp: std::net::SocketAddr) -> Server {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let [certificate, key] =
        [("cert.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())].map(|(name, pem)| {
            let path = dir.join(name);
            std::fs::write(&path, pem).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            path.display().to_string()
        });
    let settings = [("admin_listen", "127.0.0.1:0"), ("tls_certificate_file", &certificate), ("tls_key_file", &key)];
    Server::start(&settings_for(&database.service_url, dir, smtp, &settings), &CancellationToken::new()).await.unwrap()
}

#[tokio::test]
async fn each_task_that_ends_unasked_ends_the_service_and_is_named() {
    let (service, server) =
        Service::around(Database::create().await, Script::accept_all(), async |database, _, smtp| {
            // the one that others are compared with: it goes on
            let settings = settings_for(&database.service_url, &scratch("tasks"), smtp, &[]);
            let server = Server::start(&settings, &CancellationToken::new()).await.unwrap();
            (server.address(), server)
        })
        .await;
    let dir = scratch("tasks_killed");
    let mut names = start(&service.database, &dir, service.mailbox.addr()).await.tasks().running();
    names.sort_unstable();
    names.dedup();
    let all = [
        "TLS files",
        "accept loop",
        "admin port",
        "bulk writer",
        "caller lookup",
        "charge counter",
        "dry runs",
        "event reader",
        "figures",
        "issuer keys",
        "key reports",
        "mail",
        "readiness",
        "registrar",
        "shutdown",
        "streams",
        "sweep",
        "writer",
    ];
    assert_eq!(names, all);
    for name in all {
        let server = start(&service.database, &dir, service.mailbox.addr()).await;
        let logged = evidence::logged();
        server.tasks().kill(name);
        let ended = timeout(PATIENCE, server.finished()).await.unwrap_or_else(|_| panic!("it goes on without {name}"));
        let ended = ended.unwrap_err().to_string();
        assert!(ended.contains(&format!("{name:?}")), "{ended}");
        let line = format!("\"task\":\"{name}\"");
        assert!(evidence::log_since(logged).lines().any(|logged| logged.contains(&line)), "{line} is in the log");
    }
    assert!(timeout(Duration::from_millis(200), server.failed()).await.is_err());
}

/// The control: what becomes of a service that nobody ends.
#[tokio::test]
async fn a_service_without_one_of_its_tasks_answers_and_fails() {
    let settings = [("invitations_per_caller_limit", "1000")];
    let (service, server) =
        Service::around(Database::create().await, Script::accept_all(), async |database, dir, smtp| {
            let settings = settings_for(&database.service_url, dir, smtp, &settings);
            let server = Server::start(&settings, &CancellationToken::new()).await.unwrap();
            (server.address(), server)
        })
        .await;
    let owner = service.owner("olga", "acme").await;
    owner.invite("acme", "anna@example.com").await.unwrap();
    server.tasks().kill("charge counter");
    assert_eq!(server.tasks().failed().await, "charge counter");
    assert_eq!(owner.organization("acme").await.name, "organizations/acme");
    for n in 0..3 {
        owner.invite("acme", &format!("guest-{n}@example.com")).await.unwrap_err();
    }
}
