//! What is counted, as Prometheus reads it.

mod inside;
mod outbox;

use std::net::SocketAddr;

use invitations::dev::mailbox::Script;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep, timeout};

use crate::support::{PATIENCE, Service, reason};

/// What an HTTP client reads there.
pub async fn get(address: SocketAddr, path: &str) -> String {
    try_get(address, path).await.unwrap()
}

async fn try_get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    ask(address, "GET", path).await
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The value of a line; 0 where there is none.
fn value(page: &str, line: &str) -> u64 {
    let found = page.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    found.map_or(0, |count| count.parse().unwrap())
}

/// A line up to its value, and what is expected of that, if there is one.
type Expected<'a> = (&'a str, &'a dyn Fn(Option<f64>) -> bool);

/// Waits until the page shows what is expected.
async fn shows(address: SocketAddr, expected: &[Expected<'_>]) {
    let mut page = String::new();
    let is_shown = async {
        loop {
            page = get(address, "/metrics").await;
            let value = |line| page.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
            if expected.iter().all(|(line, is_expected)| is_expected(value(line))) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    // what waits in the outbox is looked at every 15 seconds
    let shown = timeout(3 * PATIENCE, is_shown).await;
    let lines = expected.iter().map(|(line, _)| *line).collect::<Vec<_>>();
    assert!(shown.is_ok(), "not all of {lines:#?} are as expected in {page}");
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code_and_refusals_by_reason() {
    let service = Service::start_with(&[("admin_listen", "127.0.0.1:0")], Script::accept_all()).await;
    let address = service.admin_address();
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

/// Whether a line is one of the text format (docs of Prometheus, "Exposition formats", version 0.0.4).
fn is_exposition(line: &str) -> bool {
    let is_name = |name: &str| {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
        name.bytes().all(is_good) && name.starts_with(|first: char| !first.is_ascii_digit())
    };
    if let Some(comment) = line.strip_prefix("# ") {
        let mut words = comment.split(' ');
        let (kind, name) = (words.next(), words.next());
        let types = ["counter", "gauge", "histogram", "summary", "untyped"];
        return name.is_some_and(is_name)
            && (kind == Some("HELP")
                || (kind == Some("TYPE") && words.next().is_some_and(|kind| types.contains(&kind))));
    }
    let Some((series, value)) = line.rsplit_once(' ') else { return false };
    let (name, labels) = match series.split_once('{') {
        None => (series, None),
        Some((name, labels)) => (name, labels.strip_suffix('}').map(|labels| labels.split(','))),
    };
    // no value of ours has a comma, a quote or a backslash
    let is_label = |label: &str| {
        let value = label.split_once("=\"").and_then(|(name, value)| is_name(name).then(|| value.strip_suffix('"'))?);
        value.is_some_and(|value| !value.contains(['"', '\\']))
    };
    is_name(name) && labels.is_none_or(|mut labels| labels.all(is_label)) && value.parse::<f64>().is_ok()
}

#[tokio::test]
async fn the_page_says_what_it_is_and_head_says_the_same() {
    let service = Service::start_with(&[("admin_listen", "127.0.0.1:0")], Script::accept_all()).await;
    let address = service.admin_address();
    service.owner("olga", "acme").await;
    let parts = |answer: &str| {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        // what differs from call to call
        let mut lines = head.lines().map(str::to_ascii_lowercase).collect::<Vec<_>>();
        lines.retain(|line| !line.starts_with("date:") && !line.starts_with("content-length:"));
        (lines, body.to_owned())
    };
    for path in ["/metrics", "/metrics?name[]=invitations_calls_total"] {
        let (head, page) = parts(&ask(address, "GET", path).await.unwrap());
        assert_eq!(head[0], "http/1.1 200 ok");
        assert!(head.contains(&"content-type: text/plain; version=0.0.4; charset=utf-8".to_owned()), "{head:?}");
        assert!(page.ends_with('\n') && page.contains("invitations_calls_total{"), "{page}");
        let odd = page.lines().find(|line| !line.is_empty() && !is_exposition(line));
        assert_eq!(odd, None);
        assert_eq!(parts(&ask(address, "HEAD", path).await.unwrap()), (head, String::new()));
    }
    for (method, path, status) in [
        ("POST", "/metrics", "405"),
        ("DELETE", "/metrics", "405"),
        ("GET", "/", "404"),
        ("HEAD", "/", "404"),
        ("GET", "/metrics/", "404"),
        ("POST", "/debug", "404"),
    ] {
        let (head, body) = parts(&ask(address, method, path).await.unwrap());
        assert!(head[0].contains(status), "{method} {path}: {head:?}");
        assert!(!body.contains("invitations_"), "{method} {path}: {body}");
    }
    service.stop().await;
}
