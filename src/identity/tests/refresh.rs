//! Keys over HTTP against a small server of our own: rarely asked, and never missed while it is down.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{Mutex, Semaphore, watch},
    task::JoinHandle,
};

use super::{
    super::source::{Access, Source},
    *,
};

const MINUTE: Duration = Duration::from_mins(1);

fn open() -> Access {
    Access::new(None, None).unwrap()
}

/// Answers every request in the same way, counts them, and holds each back until there is a permit.
struct Server {
    address: SocketAddr,
    /// Status line and body.
    answer: Arc<Mutex<(&'static str, String)>>,
    requests: watch::Receiver<usize>,
    permits: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(status: &'static str, body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new((status, body)));
        let (count, requests) = watch::channel(0);
        let permits = Arc::new(Semaphore::new(1000));
        let (current, gate) = (Arc::clone(&answer), Arc::clone(&permits));
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                count.send_modify(|count| *count += 1);
                gate.acquire().await.unwrap().forget();
                let (status, body) = current.lock().await.clone();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                // a client that had enough closes the connection
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        Self { address, answer, requests, permits, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn entry(&self) -> Value {
        let change = json!({"jwks_file": null, "jwks_url": self.url("keys")});
        with(broker(&KeyFile::published()), &change)
    }

    async fn now_answers(&self, status: &'static str, body: String) {
        *self.answer.lock().await = (status, body);
    }

    fn requests(&self) -> usize {
        *self.requests.borrow()
    }

    async fn has_had(&self, requests: usize) {
        let mut count = self.requests.clone();
        let enough = count.wait_for(|count| *count >= requests);
        tokio::time::timeout(Duration::from_secs(5), enough).await.expect("the request did not come").unwrap();
    }

    async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// After what time a token may be tried again, of which nothing is known now.
async fn wait(verifier: &Verifier, token: &str) -> Duration {
    match verifier.verify(token).await {
        Err(TokenError::IssuerUnavailable(wait)) => wait,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_key_asks_the_issuer_at_most_once_a_minute() {
    let server = Server::start("200 OK", jwks(&[&Signer::eddsa()])).await;
    let verifier = verifier([server.entry()]).unwrap();
    assert_eq!(server.requests(), 0);
    let (known, rotated) = (Signer::eddsa().token(&good()), Signer::stranger("rotated").token(&good()));

    // twenty at once wait for one request
    let all = join_all((0..20).map(|_| user(&verifier, &known))).await;
    assert_eq!((all.len(), server.requests()), (20, 1));

    // it may be new since the last request, which nobody can tell before the next one: no final refusal
    server.now_answers("200 OK", jwks(&[&Signer::eddsa(), &Signer::stranger("rotated")])).await;
    for _ in 0..20 {
        let wait = wait(&verifier, &rotated).await;
        assert!(wait <= MINUTE && wait > MINUTE / 2, "{wait:?}");
    }
    assert_eq!(server.requests(), 1);
    verifier.issuers[0].keys.age(MINUTE / 2).await;
    assert!(wait(&verifier, &rotated).await <= MINUTE / 2);

    verifier.issuers[0].keys.age(MINUTE / 2).await;
    user(&verifier, &rotated).await;
    user(&verifier, &known).await;
    assert_eq!(server.requests(), 2);
    for kid in ["a", "b", "c"] {
        wait(&verifier, &Signer::stranger(kid).token(&good())).await;
    }
    assert_eq!(server.requests(), 2);
    // nor is there anything new about a token that is older than the last request
    let stale = with(good(), &json!({"iat": now() - 400}));
    assert_eq!(refusal(&verifier, &Signer::stranger("a").token(&stale)).await, "signed by an unknown key");
    wait(&verifier, &Signer::stranger("a").token(&with(good(), &json!({"iat": now() - 200})))).await;
    assert_eq!(server.requests(), 2);
    // who makes us ask is told what there is
    verifier.issuers[0].keys.age(MINUTE).await;
    assert_eq!(refusal(&verifier, &Signer::stranger("d").token(&good())).await, "signed by an unknown key");
    wait(&verifier, &Signer::stranger("e").token(&good())).await;
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn keys_are_fetched_before_anybody_needs_them_and_again_in_time() {
    let server = Server::start("200 OK", jwks(&[&Signer::eddsa()])).await;
    let verifier = verifier([server.entry()]).unwrap();
    let keys = &verifier.issuers[0].keys;
    let mut known = keys.watch();
    tokio::select! {
        never = verifier.follow() => match never {},
        fetched = tokio::time::timeout(Duration::from_secs(5), known.changed()) => fetched.unwrap().unwrap(),
    }
    assert!(!keys.is_due().await);
    user(&verifier, &Signer::eddsa().token(&good())).await;
    assert_eq!(server.requests(), 1, "no caller has waited");
    keys.age(29 * MINUTE).await;
    assert!(!keys.is_due().await);
    keys.age(MINUTE).await;
    assert!(keys.is_due().await);
    // what has failed is tried again, however fresh the keys are
    let server = Server::start("503 Service Unavailable", String::new()).await;
    let change = json!({"jwks_file": null, "jwks_url": server.url("keys")});
    let verifier = super::verifier([with(broker(&KeyFile::published()), &change)]).unwrap();
    wait(&verifier, &Signer::eddsa().token(&good())).await;
    assert!(verifier.issuers[0].keys.is_due().await);
}

#[tokio::test]
async fn known_keys_count_for_an_hour_while_the_issuer_is_down() {
    let server = Server::start("200 OK", jwks(&[&Signer::eddsa()])).await;
    let verifier = verifier([server.entry()]).unwrap();
    let (known, unknown) = (Signer::eddsa().token(&good()), Signer::stranger("rotated").token(&good()));
    user(&verifier, &known).await;
    server.stop().await;

    verifier.issuers[0].keys.age(MINUTE).await;
    // a new key cannot be told from a made-up one now, so the caller shall come again
    assert!(wait(&verifier, &unknown).await <= MINUTE);
    user(&verifier, &known).await;
    verifier.issuers[0].keys.age(58 * MINUTE).await;
    user(&verifier, &known).await;
    // it may have withdrawn any of them
    verifier.issuers[0].keys.age(MINUTE).await;
    assert!(wait(&verifier, &known).await <= Duration::from_secs(5));
    assert!(wait(&verifier, &unknown).await <= Duration::from_secs(5));
}

#[tokio::test]
async fn an_issuer_that_is_down_at_start_is_asked_again() {
    let server = Server::start("503 Service Unavailable", String::new()).await;
    let verifier = verifier([server.entry()]).unwrap();
    let token = Signer::eddsa().token(&good());
    for _ in 0..2 {
        assert!(wait(&verifier, &token).await <= Duration::from_secs(5));
    }
    assert_eq!(server.requests(), 1);

    server.now_answers("200 OK", jwks(&[&Signer::eddsa()])).await;
    verifier.issuers[0].keys.age(Duration::from_secs(5)).await;
    user(&verifier, &token).await;
}

#[tokio::test]
async fn a_withdrawn_key_is_forgotten_within_the_hour() {
    let server = Server::start("200 OK", jwks(&[&Signer::eddsa(), &Signer::es256()])).await;
    let verifier = verifier([server.entry()]).unwrap();
    let withdrawn = Signer::es256().token(&good());
    user(&verifier, &withdrawn).await;
    server.now_answers("200 OK", jwks(&[&Signer::eddsa()])).await;

    verifier.issuers[0].keys.age(29 * MINUTE).await;
    user(&verifier, &withdrawn).await;
    assert_eq!(server.requests(), 1);
    // in good time, for a call that does not wait for the request that it causes
    let mut known = verifier.issuers[0].keys.watch();
    verifier.issuers[0].keys.age(MINUTE).await;
    user(&verifier, &withdrawn).await;
    server.has_had(2).await;
    tokio::time::timeout(Duration::from_secs(5), known.changed()).await.expect("nobody has learned it").unwrap();
    wait(&verifier, &withdrawn).await;
    user(&verifier, &Signer::eddsa().token(&good())).await;
}

#[tokio::test]
async fn a_withdrawn_key_does_not_count_after_a_quiet_night() {
    let server = Server::start("200 OK", jwks(&[&Signer::eddsa(), &Signer::es256()])).await;
    let verifier = Arc::new(verifier([server.entry()]).unwrap());
    let (kept, withdrawn) = (Signer::eddsa().token(&good()), Signer::es256().token(&good()));
    // the one is remembered, the other was never seen
    user(&verifier, &kept).await;
    user(&verifier, &withdrawn).await;
    let unseen = Signer::es256().token(&with(good(), &json!({"jti": "another"})));
    server.now_answers("200 OK", jwks(&[&Signer::eddsa()])).await;
    for hours in [1, 8, 100] {
        verifier.issuers[0].keys.age(Duration::from_hours(hours)).await;
        // all who come at once wait for one request, and none is let in before it is answered
        let asked = server.requests();
        server.permits.forget_permits(1000);
        let first = tokio::spawn({
            let (verifier, tokens) = (Arc::clone(&verifier), [withdrawn.clone(), unseen.clone(), kept.clone()]);
            async move { join_all(tokens.iter().map(async |token| verifier.verify(token).await.is_ok())).await }
        });
        server.has_had(asked + 1).await;
        tokio::task::yield_now().await;
        assert!(!first.is_finished());
        server.permits.add_permits(1000);
        assert_eq!(first.await.unwrap(), [false, false, true], "{hours} h");
        assert_eq!(server.requests(), asked + 1);
        user(&verifier, &kept).await;
    }
}

#[tokio::test]
async fn a_key_set_that_comes_too_late_is_no_reason_to_believe_the_old_one() {
    let server = Server::start("200 OK", jwks(&[&Signer::eddsa()])).await;
    let verifier = verifier([server.entry()]).unwrap();
    let token = Signer::eddsa().token(&good());
    user(&verifier, &token).await;
    for (status, body) in [("500 Internal Server Error", "{}"), ("200 OK", "<html>"), ("200 OK", "{\"keys\": []}")] {
        server.now_answers(status, body.to_owned()).await;
        verifier.issuers[0].keys.age(Duration::from_hours(2)).await;
        assert_eq!(wait(&verifier, &token).await, Duration::from_secs(5), "{body}");
    }
    server.now_answers("200 OK", jwks(&[&Signer::eddsa()])).await;
    verifier.issuers[0].keys.age(Duration::from_secs(5)).await;
    user(&verifier, &token).await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_cancel_the_request() {
    let server = Server::start("200 OK", jwks(&[&Signer::eddsa()])).await;
    let verifier = Arc::new(verifier([server.entry()]).unwrap());
    server.permits.forget_permits(1000);
    let token = Signer::eddsa().token(&good());
    let caller = tokio::spawn({
        let (verifier, token) = (Arc::clone(&verifier), token.clone());
        async move { verifier.verify(&token).await }
    });
    server.has_had(1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());

    server.permits.add_permits(1);
    user(&verifier, &token).await;
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_long_or_from_elsewhere_is_not_read() {
    let good_set = jwks(&[&Signer::eddsa()]);
    let padded = |length: usize| format!("{good_set}{}", " ".repeat(length - good_set.len()));
    for (status, body, works) in [
        ("200 OK", padded(256 * 1024), true),
        ("200 OK", padded(256 * 1024 + 1), false),
        ("404 Not Found", good_set.clone(), false),
        ("302 Found\r\nlocation: /elsewhere", good_set.clone(), false),
    ] {
        let server = Server::start(status, body).await;
        let verifier = verifier([server.entry()]).unwrap();
        let result = verifier.verify(&Signer::eddsa().token(&good())).await;
        assert_eq!((result.is_ok(), server.requests()), (works, 1), "{status}");
    }
}

#[tokio::test]
async fn discovery_follows_the_issuers_own_document_only() {
    let keys = Server::start("200 OK", jwks(&[&Signer::eddsa()])).await;
    let server = Server::start("200 OK", String::new()).await;
    let issuer = server.url("realm");
    for (document, error) in [
        (json!({"issuer": format!("{issuer}/"), "jwks_uri": keys.url("keys")}), "another issuer's"),
        (json!({"issuer": issuer, "jwks_uri": "http://example.com/keys"}), "must be an https URL"),
        (json!({"issuer": issuer}), "not a discovery document"),
    ] {
        server.now_answers("200 OK", document.to_string()).await;
        let message = Source::discovery(&issuer, open()).unwrap().load().await.unwrap_err();
        assert!(message.contains(error), "{message}");
    }
    assert_eq!(keys.requests(), 0);

    server.now_answers("200 OK", json!({"issuer": issuer, "jwks_uri": keys.url("keys")}).to_string()).await;
    let change = json!({"jwks_file": null, "discovery": true, "issuer": issuer});
    let verifier = verifier([with(broker(&KeyFile::published()), &change)]).unwrap();
    user(&verifier, &Signer::eddsa().token(&with(good(), &json!({"iss": issuer})))).await;
}

#[tokio::test]
async fn a_key_file_is_read_again_for_an_unknown_key() {
    let file = KeyFile::new(&jwks(&[&Signer::eddsa()]));
    let verifier = verifier([broker(&file)]).unwrap();
    let rotated = Signer::stranger("rotated").token(&good());
    refusal(&verifier, &rotated).await;
    file.replace(&jwks(&[&Signer::stranger("rotated")]));
    // nobody has to wait for that: it is no stranger's work
    user(&verifier, &rotated).await;
    refusal(&verifier, &Signer::stranger("unknown").token(&good())).await;
}
