//! Issuers that are not there when the service starts, and those within a cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use invitations::dev::issuer::{self, Provider};
use jsonwebtoken::{EncodingKey, decode_header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::support::{PATIENCE, Person, Service, evidence, reason, retry_after, scratch};

/// Answers every request with a key set, if the request has that header.
async fn keys_server(listener: TcpListener, tls: Option<TlsAcceptor>, keys: String, header: Option<String>) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        match &tls {
            None => answer(socket, &keys, header.as_deref()).await,
            Some(tls) => {
                if let Ok(socket) = tls.accept(socket).await {
                    answer(socket, &keys, header.as_deref()).await;
                }
            }
        }
    }
}

async fn answer(mut socket: impl AsyncRead + AsyncWrite + Unpin, keys: &str, header: Option<&str>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(byte) = socket.read_u8().await else { return };
        request.push(byte);
    }
    let request = String::from_utf8(request).unwrap();
    let has = header.is_none_or(|header| request.lines().any(|line| line.eq_ignore_ascii_case(header)));
    let (status, body) = if has { ("200 OK", keys) } else { ("401 Unauthorized", "") };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let _gone = socket.write_all(answer.as_bytes()).await;
    let _gone = socket.shutdown().await;
}

/// The dev issuer's entry for GitHub, with its keys at that URL, and the keys.
pub(super) fn entry_at(dir: &std::path::Path, url: &str) -> (Value, String) {
    let mut entry = serde_json::to_value(&issuer::entries(dir).unwrap()[0]).unwrap();
    let keys = std::fs::read_to_string(dir.join("issuer.jwks")).unwrap();
    entry["jwks_file"] = Value::Null;
    entry["jwks_url"] = json!(url);
    (entry, keys)
}

#[tokio::test]
async fn one_dead_issuer_concerns_nobody_but_its_own_callers() {
    let dir = scratch("issuer_late");
    // nobody else gets the port, and nobody listens on it before the keys come
    let port = TcpSocket::new_v4().unwrap();
    port.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = port.local_addr().unwrap();
    let (mut entry, keys) = entry_at(&dir, &format!("http://{address}/keys"));
    entry["id"] = json!("late");
    entry["issuer"] = json!("https://late.example");
    let logged = evidence::logged();
    let settings = [("admin_listen", "127.0.0.1:0")];
    // its health says SERVING, or this fails
    let service = Service::start_with_more_entries(&settings, vec![entry]).await;
    let up = async |up: u8| {
        let line = format!("invitations_issuer_up{{issuer=\"late\"}} {up}");
        let is_counted = async {
            while !crate::metrics::get(service.admin_address(), "/metrics").await.lines().any(|one| one == line) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, is_counted).await.unwrap_or_else(|_| panic!("{line}"));
    };
    up(0).await;

    let late = |name: &str| {
        let email = format!("{name}@example.com");
        let claims = json!({"iss": "https://late.example", "sub": name, "email": email, "email_verified": true});
        // the same key as that of the service's own dev issuer would be another one
        Person::new(&service.channel, signed(&dir, &claims))
    };
    let anna = late("anna");
    for _ in 0..3 {
        let refused = anna.create_account("anna").await;
        assert!(retry_after(&refused).is_some_and(|wait| wait <= Duration::from_secs(5)));
        assert_eq!(reason(refused), "ISSUER_UNAVAILABLE");
    }
    service.owner("olga", "acme").await;
    // it is asked every five seconds
    tokio::time::sleep(Duration::from_secs(6)).await;

    let listener = port.listen(16).unwrap();
    let keys = tokio::spawn(keys_server(listener, None, keys, None));
    // before anybody has come again
    up(1).await;
    anna.create_account("anna").await.unwrap();
    // it goes on with the keys that it has
    keys.abort();
    late("bert").create_account("bert").await.unwrap();

    // once when it was away, once when it was there again
    let said = |words: &str| {
        let log = evidence::log_since(logged);
        log.lines().filter(|line| line.contains("\"issuer.id\":\"late\"") && line.contains(words)).count()
    };
    assert_eq!((said("\"WARN\""), said("the issuer answers again")), (1, 1));
    assert!(said("still does not answer") > 0, "the control: it was asked more than once");
    service.stop().await;
}

/// By the key in that folder, as its issuer would, with times of its own.
fn signed(dir: &std::path::Path, claims: &Value) -> String {
    let good = issuer::user_token(dir, "any", None, true, Provider::Github).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(good.split('.').nth(1).unwrap()).unwrap();
    let mut all = serde_json::from_slice::<Value>(&payload).unwrap();
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let key = EncodingKey::from_ed_pem(&std::fs::read(dir.join("issuer")).unwrap()).unwrap();
    encode(&decode_header(&good).unwrap(), &all, &key).unwrap()
}

#[tokio::test]
async fn keys_within_a_cluster_are_fetched_by_its_authority_and_with_its_token() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(tls));
    let works = async |ca_file: bool, token: Option<&str>| {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let dir = scratch(&format!("issuer_cluster_{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mut entry, keys) = entry_at(&dir, &format!("https://{}/openid/v1/jwks", listener.local_addr().unwrap()));
        let header = Some("authorization: Bearer pod-token-2".to_owned());
        tokio::spawn(keys_server(listener, Some(tls.clone()), keys, header));
        let good = issuer::user_token(&dir, "anna", None, true, Provider::Github).unwrap();
        if ca_file {
            std::fs::write(dir.join("ca.crt"), made.cert.pem()).unwrap();
            entry["ca_file"] = json!(dir.join("ca.crt"));
        }
        let token_file = dir.join("token");
        if let Some(token) = token {
            // replaced after the start, as Kubernetes does
            std::fs::write(&token_file, "pod-token-1\n").unwrap();
            entry["bearer_token_file"] = json!(token_file);
            let entries = vec![serde_json::from_value(entry.clone()).unwrap()];
            let verifier = invitations::identity::Verifier::new(entries).unwrap();
            std::fs::write(&token_file, format!("{token}\n")).unwrap();
            return verifier.verify(&good).await.is_ok();
        }
        let entries = vec![serde_json::from_value(entry).unwrap()];
        invitations::identity::Verifier::new(entries).unwrap().verify(&good).await.is_ok()
    };
    assert!(works(true, Some("pod-token-2")).await);
    assert!(!works(true, Some("pod-token-1")).await);
    assert!(!works(true, None).await);
    assert!(!works(false, Some("pod-token-2")).await);
}

#[tokio::test]
async fn a_service_account_of_kubernetes_has_what_its_entry_says_and_not_more() {
    let service = Service::start_with_entries(|entries| {
        entries[2]["services"] = json!([{
            "subject": "system:serviceaccount:ops:gateway", "scopes": ["invitations.read", "members.grant"],
            "organizations": ["acme"], "highest_role": "READER",
        }]);
    })
    .await;
    let owner = service.owner("olga", "acme").await;
    service.owner("other", "umbrella").await;
    service.account("anna").await;
    let token = |subject: &str, scope: Option<&str>| service.service_account(subject, scope);

    // as the cluster makes it: without a scope
    let gateway = token("system:serviceaccount:ops:gateway", None);
    assert_eq!(gateway.organization("acme").await.name, "organizations/acme");
    let offer = gateway.offer("acme", "anna", "anna@example.com", "READER").await.unwrap();
    owner.revoke(&offer.name).await.unwrap();
    assert_eq!(reason(gateway.offer("acme", "anna", "anna@example.com", "CONTRIBUTOR").await), "ROLE_NOT_GRANTABLE");
    assert_eq!(reason(gateway.invite("acme", "bert@example.com").await), "SCOPE_REQUIRED");
    assert_eq!(reason(gateway.offer("umbrella", "anna", "anna@example.com", "READER").await), "ORGANIZATION_NOT_FOUND");
    assert_eq!(reason(gateway.create_account("gateway").await), "PERSON_REQUIRED");
    // a claim takes away and gives nothing
    let narrow = token("system:serviceaccount:ops:gateway", Some("invitations.read invitations.write"));
    assert_eq!(narrow.organization("acme").await.name, "organizations/acme");
    assert_eq!(reason(narrow.offer("acme", "anna", "anna@example.com", "READER").await), "SCOPE_REQUIRED");
    assert_eq!(reason(narrow.invite("acme", "bert@example.com").await), "SCOPE_REQUIRED");
    // its neighbour, and everybody
    for other in ["system:serviceaccount:ops:default", "system:serviceaccount:OPS:gateway", "*"] {
        assert_eq!(reason(token(other, None).invite("acme", "bert@example.com").await), "TOKEN_INVALID", "{other}");
    }
}
