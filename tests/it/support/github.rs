//! A double of GitHub's REST API, as far as its documentation describes it (docs.github.com/rest, version 2022-11-28):
//! "Check a token", "List email addresses for the authenticated user", and what they answer otherwise.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

pub const CLIENT_ID: &str = "Iv1.0123456789abcdef";
pub const CLIENT_SECRET: &str = "0123456789abcdef0123456789abcdef01234567";

/// GitHub on this machine.
pub struct Github {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// Each request waits for one; there are plenty unless a test takes them.
    pub permits: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    /// What each token is good for.
    tokens: HashMap<String, Grant>,
    requests: Vec<String>,
    /// Instead of all answers: status line with headers, and body.
    outage: Option<(&'static str, &'static str)>,
}

#[derive(Clone)]
struct Grant {
    client_id: &'static str,
    user: Value,
    /// `None`: the token was not given `user:email`.
    emails: Option<Vec<Value>>,
}

impl Github {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let github = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
            permits: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        };
        let (state, permits) = (Arc::clone(&github.state), Arc::clone(&github.permits));
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, Arc::clone(&state), Arc::clone(&permits)));
            }
        });
        github
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The entry by which a service asks it.
    pub fn entry(&self, secret_file: &std::path::Path) -> Value {
        std::fs::write(secret_file, format!("{CLIENT_SECRET}\n")).unwrap();
        json!({
            "id": "github", "kind": "user", "provider": "github", "email_domains": "*",
            "github": {"client_id": CLIENT_ID, "client_secret_file": secret_file, "api_url": self.url()},
        })
    }

    /// Issues a token of our app. An address is written `anna@example.com`, `… unverified` or `… primary`.
    pub fn grant(&self, token: &str, user: u64, emails: &[&str]) {
        self.grant_by(CLIENT_ID, token, user, Some(emails));
    }

    /// The same by another app, or without the right to read addresses.
    pub fn grant_by(&self, client_id: &'static str, token: &str, user: u64, emails: Option<&[&str]>) {
        let email = |text: &&str| {
            let (address, kind) = text.split_once(' ').unwrap_or((text, ""));
            json!({"email": address, "primary": kind == "primary", "verified": kind != "unverified", "visibility": null})
        };
        super::evidence::token(token);
        let user = json!({"login": format!("user-{user}"), "id": user, "type": "User", "site_admin": false});
        let emails = emails.map(|emails| emails.iter().map(email).collect());
        self.state().tokens.insert(token.to_owned(), Grant { client_id, user, emails });
    }

    /// Nobody's: what an app does for itself.
    pub fn grant_without_person(&self, token: &str) {
        self.grant(token, 1, &[]);
        self.state().tokens.get_mut(token).unwrap().user = Value::Null;
    }

    pub fn take_back(&self, token: &str) {
        self.state().tokens.remove(token);
    }

    /// Answers like this from now on, or as usual again.
    pub fn now_answers(&self, outage: Option<(&'static str, &'static str)>) {
        self.state().outage = outage;
    }

    /// What it was asked so far, as `METHOD /path`.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// One connection, which is kept open as GitHub does.
async fn serve(mut socket: TcpStream, state: Arc<Mutex<State>>, permits: Arc<Semaphore>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = socket.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let request = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
        let headers: HashMap<_, _> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.unwrap();
        state.lock().unwrap().requests.push(request.clone());
        permits.acquire().await.unwrap().forget();

        let answer = answer(&state.lock().unwrap(), &request, &headers, &body);
        let (status, body) = answer;
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json; charset=utf-8\r\n");
        let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(state: &State, request: &str, headers: &HashMap<String, String>, body: &[u8]) -> (String, String) {
    let refused = |status: &str, message: &str| {
        let body =
            json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": &status[..3]});
        (status.to_owned(), body.to_string())
    };
    if let Some((status, body)) = state.outage {
        return (status.to_owned(), body.to_owned());
    }
    if !headers.contains_key("user-agent") {
        return refused("403 Forbidden", "Request forbidden by administrative rules.");
    }
    let authorization = headers.get("authorization").map_or("", String::as_str);
    if request == format!("POST /applications/{CLIENT_ID}/token") {
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
        if authorization != basic {
            return refused("401 Unauthorized", "Bad credentials");
        }
        let Ok(asked) = serde_json::from_slice::<Value>(body) else {
            return refused("400 Bad Request", "Problems parsing JSON");
        };
        let Some(token) = asked["access_token"].as_str() else {
            return refused("422 Unprocessable Entity", "Validation Failed");
        };
        // "Invalid tokens will return 404 NOT FOUND", those of other apps among them
        return match state.tokens.get(token) {
            Some(grant) if grant.client_id == CLIENT_ID || token.starts_with("gho_leaky") => {
                let app = json!({"name": "IPMHub", "url": "https://hub.example", "client_id": grant.client_id});
                let body = json!({
                    "id": 1, "url": "https://api.github.com/authorizations/1", "app": app, "token": token,
                    "token_last_eight": &token[token.len().saturating_sub(8)..], "scopes": ["user:email"],
                    "created_at": "2026-11-01T00:00:00Z", "updated_at": "2026-11-01T00:00:00Z", "expires_at": null,
                    "note": null, "note_url": null, "hashed_token": "…", "fingerprint": null, "user": grant.user,
                });
                ("200 OK".to_owned(), body.to_string())
            }
            _ => refused("404 Not Found", "Not Found"),
        };
    }
    let Some(query) = request.strip_prefix("GET /user/emails?") else {
        return refused("404 Not Found", "Not Found");
    };
    let Some(grant) = authorization.strip_prefix("Bearer ").and_then(|token| state.tokens.get(token)) else {
        return refused("401 Unauthorized", "Bad credentials");
    };
    let Some(emails) = &grant.emails else {
        return refused("404 Not Found", "Not Found");
    };
    let number = |name: &str, usual: usize| {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        value.map_or(usual, |value| value.parse().unwrap())
    };
    let (size, page) = (number("per_page", 30).min(100), number("page", 1));
    let page = emails.iter().skip((page - 1) * size).take(size).collect::<Vec<_>>();
    ("200 OK".to_owned(), json!(page).to_string())
}
