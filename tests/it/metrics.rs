//! What is counted, as Prometheus reads it.

use std::net::SocketAddr;

use invitations::dev::mailbox::Script;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{PATIENCE, Service, reason};

/// What an HTTP client reads there.
pub async fn get(address: SocketAddr, path: &str) -> String {
    try_get(address, path).await.unwrap()
}

async fn try_get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The value of a line; 0 where there is none.
fn value(page: &str, line: &str) -> u64 {
    let found = page.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    found.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code_and_refusals_by_reason() {
    let service = Service::start_with(&[("metrics_listen", "127.0.0.1:0")], Script::accept_all()).await;
    let address = service.metrics_address();
    let owner = service.owner("olga", "acme").await;
    let lines = [
        r#"invitations_calls_total{method="ListEvents",code="PermissionDenied"}"#,
        r#"invitations_refusals_total{method="ListEvents",reason="ROLE_REQUIRED"}"#,
        r#"invitations_calls_total{method="GetOrganization",code="Ok"}"#,
        r#"invitations_calls_total{method="other",code="Unimplemented"}"#,
    ];
    let reader = service.member(&owner, "acme", "rita", "READER").await;
    let before = get(address, "/metrics").await;
    for _ in 0..3 {
        let message =
            invitations::pb::ListEventsRequest { parent: "organizations/acme".to_owned(), ..Default::default() };
        assert_eq!(reason(reader.organizations.clone().list_events(message).await), "ROLE_REQUIRED");
        owner.organization("acme").await;
        let unknown = crate::rights::call(&service.channel, "/no.Service/AtAll", Vec::new(), &[]).await;
        assert_eq!(unknown, "METHOD_UNKNOWN");
    }
    let after = get(address, "/metrics").await;
    assert!(after.starts_with("HTTP/1.1 200"), "{after}");
    for line in lines {
        assert!(value(&after, line) >= value(&before, line) + 3, "{line} in {after}");
    }
    // labels are words of the contract, never what a caller sent
    assert!(!after.contains("AtAll") && !after.contains("acme") && !after.contains('@'), "{after}");
    assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
    service.stop().await;
    // another test may have its port by now, but serves no metrics there
    let answer = tokio::time::timeout(PATIENCE, try_get(address, "/metrics")).await.expect("nobody listens in silence");
    assert!(!answer.is_ok_and(|page| page.starts_with("HTTP/")), "it ends with the service");
}
