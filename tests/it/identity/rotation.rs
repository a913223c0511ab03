//! Issuers that change their keys, and such that do not answer.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use invitations::dev::issuer::{self, Provider};
use invitations::dev::mailbox::{Mailbox, Script};
use invitations::pb;
use invitations::server::Server;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};

use super::issuers::entry_at;
use crate::support::{
    Channel, Database, PATIENCE, Person, Service, channel_to, reason, retry_after, scratch, settings_for,
};

/// What an issuer's server has to say, and how often it was asked.
#[derive(Default)]
struct Issuer {
    keys: Mutex<String>,
    requests: Mutex<usize>,
}

impl Issuer {
    fn publishes(&self, keys: &str) {
        keys.clone_into(&mut self.keys.lock().unwrap());
    }

    fn requests(&self) -> usize {
        *self.requests.lock().unwrap()
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let Ok(byte) = socket.read_u8().await else { break };
                request.push(byte);
            }
            *self.requests.lock().unwrap() += 1;
            let keys = self.keys.lock().unwrap().clone();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", keys.len());
            let _gone = socket.write_all(format!("{head}{keys}").as_bytes()).await;
        }
    }
}

/// A server that trusts this entry alone.
async fn server(dir: &Path, entry: &Value) -> (Server, Database, Mailbox, CancellationToken) {
    let database = Database::create().await;
    let mailbox = Mailbox::start(([127, 0, 0, 1], 0).into(), &dir.join("mailbox"), Script::accept_all()).await.unwrap();
    let issuers = json!([entry]).to_string();
    let settings = settings_for(&database.url, dir, mailbox.addr(), &[("issuers", &issuers)]);
    let stop = CancellationToken::new();
    let server = Server::start(&settings, &stop).await.unwrap();
    (server, database, mailbox, stop)
}

/// A token of the issuer whose keys are in that folder.
fn token(dir: &Path, subject: &str) -> String {
    issuer::user_token(dir, subject, Some("anna@example.com"), true, Provider::Github).unwrap()
}

async fn me(person: &Person, timeout: Option<Duration>) -> Result<pb::Account, Status> {
    let mut request = Request::new(pb::GetAccountRequest { name: "accounts/me".to_owned() });
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    Ok(person.accounts.clone().get_account(request).await?.into_inner())
}

#[tokio::test]
async fn a_key_that_is_new_since_the_last_minute_is_no_final_refusal() {
    let [dir, new, made_up] = ["rotation", "rotation_new", "rotation_made_up"].map(scratch);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (entry, keys) = entry_at(&dir, &format!("http://{}/keys", listener.local_addr().unwrap()));
    let issuer = Arc::new(Issuer::default());
    issuer.publishes(&keys);
    tokio::spawn(Arc::clone(&issuer).serve(listener));
    let (server, _database, _mailbox, stop) = server(&dir, &entry).await;
    let channel = channel_to(server.address()).await;
    let anna = Person::new(&channel, token(&dir, "anna"));
    anna.create_account("anna").await.unwrap();
    assert_eq!(issuer.requests(), 1);

    // it signs by another key now, which it publishes beside the old one
    let (_, new_keys) = entry_at(&new, "http://127.0.0.1:1/keys");
    let mut both = serde_json::from_str::<Value>(&keys).unwrap();
    let added = serde_json::from_str::<Value>(&new_keys).unwrap()["keys"][0].clone();
    both["keys"].as_array_mut().unwrap().push(added);
    issuer.publishes(&both.to_string());
    issuer::entries(&made_up).unwrap();
    for number in 0..30 {
        // and a flood of keys that nobody has looks the same
        for stranger in [token(&new, "anna"), token(&made_up, &number.to_string())] {
            let outcome = me(&Person::new(&channel, stranger), None).await;
            assert_eq!(outcome.as_ref().unwrap_err().code(), Code::Unavailable);
            let wait = retry_after(&outcome).expect("it says when to come again");
            assert!(!wait.is_zero() && wait <= Duration::from_mins(1), "{wait:?}");
            assert_eq!(reason(outcome), "ISSUER_UNAVAILABLE");
        }
    }
    assert_eq!(issuer.requests(), 1, "a flood of unknown keys asks once a minute");
    // the known key decides at once, as ever
    assert_eq!(me(&anna, None).await.unwrap().name, "accounts/anna");
    let mut forged = token(&dir, "anna");
    forged.truncate(forged.rfind('.').unwrap());
    let forged = format!("{forged}.{}", token(&dir, "bert").rsplit('.').next().unwrap());
    assert_eq!(reason(me(&Person::new(&channel, forged), None).await), "TOKEN_INVALID");
    stop.cancel();
    server.finished().await.unwrap();
}

#[tokio::test]
async fn a_key_file_has_no_pause() {
    let service = Service::start().await;
    service.account("anna").await;
    let new = scratch("rotation_file_new");
    let (entry, new_keys) = entry_at(&new, "http://127.0.0.1:1/keys");
    assert_eq!(entry["id"], "dev-github");
    let anna = Person::new(&service.channel, token(&new, "anna"));
    assert_eq!(reason(me(&anna, None).await), "TOKEN_INVALID", "the file says that there is no such key");
    std::fs::write(service.dir.join("issuer.jwks"), new_keys).unwrap();
    assert_eq!(me(&anna, None).await.unwrap().name, "accounts/anna");
    let withdrawn = service.stranger("anna", "anna@example.com");
    assert_eq!(reason(me(&withdrawn, None).await), "TOKEN_INVALID");
}

/// What the caller hears when they have waited for an issuer, before their own clock tells them less.
#[tokio::test]
async fn a_call_waits_for_its_issuer_no_longer_than_its_deadline() {
    let dir = scratch("rotation_silent");
    // it takes connections and never says a word
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (entry, _) = entry_at(&dir, &format!("http://{}/keys", silent.local_addr().unwrap()));
    let (server, _database, _mailbox, stop) = server(&dir, &entry).await;
    let channel = Channel::open(Endpoint::from_shared(format!("http://{}", server.address())).unwrap()).await.unwrap();
    let anna = Person::new(&channel, token(&dir, "anna"));
    // a tenth of it is left for the answer
    for seconds in [5, 8] {
        let (begin, timeout) = (Instant::now(), Duration::from_secs(seconds));
        let outcome = me(&anna, Some(timeout)).await;
        assert!(begin.elapsed() < timeout, "{:?}", begin.elapsed());
        assert!(retry_after(&outcome).is_some());
        assert_eq!(reason(outcome), "ISSUER_UNAVAILABLE");
    }
    // the deadline of the service itself
    let outcome = tokio::time::timeout(PATIENCE, me(&anna, None)).await.expect("it has an end");
    assert_eq!(reason(outcome), "ISSUER_UNAVAILABLE");
    stop.cancel();
    server.finished().await.unwrap();
}
