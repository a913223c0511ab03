//! GitHub's REST API, as far as it says whose a token is: "Check a token" and "List email addresses for the
//! authenticated user" (docs.github.com/rest, version 2022-11-28).

use std::{path::PathBuf, time::Duration};

use http::{HeaderMap, StatusCode};
use reqwest::{Client, RequestBuilder, Url};
use secrecy::ExposeSecret;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    super::{
        entry::GithubEntry,
        source::{body, certificates, checked, client, readable, secret},
    },
    token::Token,
};
use crate::domain::EmailAddress;

/// For all that is asked about one token together, and the wait for its turn.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses on a page, which is as many as GitHub gives …
const PAGE: usize = 100;
/// … and the most pages that are read; a person has a handful of addresses.
const MAX_PAGES: usize = 3;
/// Every account has such an address; what is sent there is lost. A server of one's own has its name for `github.com`.
const NO_REPLY: &str = "users.noreply.";

/// Where GitHub is, and who we are there.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    check: Url,
    emails: Url,
    client_id: String,
    client_secret_file: PathBuf,
}

/// Whom a token names.
#[derive(Debug)]
pub(super) struct Person {
    pub id: u64,
    /// Verified ones, the primary one first; none where the token was not given the right to read them.
    pub emails: Vec<EmailAddress>,
}

/// Why nobody is named.
#[derive(Debug)]
pub(super) enum Failure {
    Refused(&'static str),
    /// GitHub did not answer as documented. The text is for our log.
    Down(String),
}

impl Api {
    /// An error names the field.
    pub fn new(entry: &GithubEntry) -> Result<Self, String> {
        let problem = |error: String| format!("api_url {error}");
        let base = checked(entry.api_url.trim_end_matches('/')).map_err(problem)?;
        if base.query().is_some() || base.fragment().is_some() || !base.username().is_empty() {
            return Err("api_url must have no user, query and fragment".to_owned());
        }
        let below = |path: &str| {
            let url = format!("{}/{path}", base.as_str().trim_end_matches('/'));
            checked(&url).map_err(problem)
        };
        if let Some(path) = &entry.ca_file {
            certificates(path)?;
        }
        Ok(Self {
            client: client(&base, entry.ca_file.as_deref())?,
            check: below(&format!("applications/{}/token", entry.client_id))?,
            emails: below("user/emails")?,
            client_id: entry.client_id.clone(),
            client_secret_file: entry.client_secret_file.clone(),
        })
    }

    pub async fn person_of(&self, token: &Token) -> Result<Person, Failure> {
        let id = self.check(token).await?;
        Ok(Person { id, emails: self.emails_of(token).await? })
    }

    /// Whether the token was issued to our app, and for whom: GitHub says so only to who knows the app's secret.
    async fn check(&self, token: &Token) -> Result<u64, Failure> {
        #[derive(Deserialize)]
        struct Checked {
            app: App,
            user: Option<User>,
        }
        #[derive(Deserialize)]
        struct App {
            client_id: String,
        }
        #[derive(Deserialize)]
        struct User {
            id: u64,
            r#type: String,
        }
        let secret = secret(&self.client_secret_file, "github.client_secret_file").map_err(Failure::Down)?;
        let request = self.client.post(self.check.clone()).basic_auth(&self.client_id, Some(secret.expose_secret()));
        let (status, _, body) = send(request.json(&json!({"access_token": token.expose()}))).await?;
        match status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => {
                return Err(Failure::Refused("GitHub has not issued it to our app, or has taken it back"));
            }
            // 401: our own id or secret is wrong
            other => return Err(Failure::Down(format!("the answer to the check of a token was {other}"))),
        }
        let Checked { app, user } = read(&body)?;
        if app.client_id != self.client_id {
            return Err(Failure::Refused("GitHub has issued it to another app"));
        }
        match user {
            Some(User { id, r#type }) if r#type == "User" => Ok(id),
            _ => Err(Failure::Refused("GitHub names no person for it")),
        }
    }

    async fn emails_of(&self, token: &Token) -> Result<Vec<EmailAddress>, Failure> {
        #[derive(Deserialize)]
        struct Email {
            #[serde(rename = "email")]
            address: String,
            verified: bool,
            primary: bool,
        }
        let mut all = Vec::<Email>::new();
        for page in 1..=MAX_PAGES {
            let query = [("per_page", PAGE), ("page", page)];
            let request = self.client.get(self.emails.clone()).query(&query).bearer_auth(token.expose());
            let (status, headers, body) = send(request).await?;
            match status {
                StatusCode::OK => {}
                StatusCode::UNAUTHORIZED => return Err(Failure::Refused("GitHub has taken it back")),
                // the token has no right to it
                StatusCode::NOT_FOUND => return Ok(Vec::new()),
                StatusCode::FORBIDDEN if !is_limit(&headers) => return Ok(Vec::new()),
                other => return Err(Failure::Down(format!("the answer to a list of addresses was {other}"))),
            }
            let emails = read::<Vec<Email>>(&body)?;
            let is_last = emails.len() < PAGE;
            all.extend(emails);
            if is_last {
                break;
            }
        }
        // stable: the others stay in GitHub's order
        all.sort_by_key(|email| !email.primary);
        let verified =
            all.iter().filter(|email| email.verified).filter_map(|email| EmailAddress::parse(&email.address));
        Ok(verified.filter(|email| !email.domain().starts_with(NO_REPLY)).collect())
    }
}

async fn send(request: RequestBuilder) -> Result<(StatusCode, HeaderMap, Vec<u8>), Failure> {
    let request = request
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
        // without one GitHub refuses every request
        .header("user-agent", "ipmhub-invitations");
    let mut response = request.send().await.map_err(|error| Failure::Down(readable(error)))?;
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    Ok((status, headers, body(response).await.map_err(Failure::Down)?))
}

/// 403 is GitHub's answer for a limit, too; then one of these says so.
fn is_limit(headers: &HeaderMap) -> bool {
    headers.contains_key("retry-after") || headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0")
}

/// The error says where the answer is not as documented, and shows nothing of it.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::Down(format!("the answer is not as documented at line {line} column {column}"))
    })
}
