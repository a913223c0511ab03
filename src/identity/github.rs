//! People who sign in to GitHub itself: their opaque token is good where GitHub says that it was issued to our app.
//!
//! A token that GitHub gave to another app, or that a person made for scripts, names the person as well; taking it
//! would let whoever holds one act here in their name. So the check is GitHub's own, by our client id and secret.

mod api;
mod cache;
mod pace;
mod token;

use std::{sync::Arc, time::Instant};

use time::OffsetDateTime;
use tokio::sync::Semaphore;

use self::{api::Api, cache::Cache, pace::Pace, token::Token};
use super::{
    TokenError,
    entry::{GITHUB, IssuerEntry, IssuerKind},
    reach::Reach,
    source::secret,
    users::EmailDomains,
};
use crate::domain::Identity;

/// Checks at a time of tokens that were good before, and of others; further ones wait.
const MAX_CONCURRENT: usize = 4;
/// What GitHub gives to others than the users of an app (docs.github.com, "GitHub's token formats"): personal tokens of
/// both kinds, those of an app for itself, and those that only get another token.
const OF_OTHERS: [&str; 4] = ["ghp_", "github_pat_", "ghs_", "ghr_"];

/// The entry with `github`; there is at most one, because its tokens do not say whose they are.
#[derive(Debug)]
pub(super) struct Github {
    pub id: String,
    app: Arc<App>,
    cache: Cache,
}

#[derive(Debug)]
struct App {
    id: String,
    reach: Reach,
    api: Api,
    domains: EmailDomains,
    /// For tokens that were good before …
    places: Semaphore,
    /// … and for others, which must not be in their way.
    other_places: Semaphore,
}

impl Github {
    /// Checks an entry; an error names the field. `None`: the entry is for JWTs.
    pub fn new(entry: &IssuerEntry) -> Result<Option<Self>, String> {
        let Some(github) = &entry.github else { return Ok(None) };
        if entry.kind != IssuerKind::User || entry.provider.as_deref() != Some(GITHUB) {
            return Err("github is for kind \"user\" and provider \"github\"".to_owned());
        }
        let is_bare = IssuerEntry {
            provider: entry.provider.clone(),
            email_domains: entry.email_domains.clone(),
            github: Some(github.clone()),
            ..IssuerEntry::new(&entry.id, entry.kind)
        };
        // every other field is about JWTs, and would promise what nobody checks
        if format!("{entry:?}") != format!("{is_bare:?}") {
            return Err(
                "an entry with github has id, kind, provider and email_domains beside it, nothing more".to_owned()
            );
        }
        if github.client_id.is_empty() || !github.client_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.') {
            return Err("github.client_id must be letters and digits".to_owned());
        }
        if !(1..=100_000).contains(&github.checks_per_minute) {
            return Err("github.checks_per_minute must be 1 to 100000".to_owned());
        }
        secret(&github.client_secret_file, "github.client_secret_file")?;
        let app = App {
            id: entry.id.clone(),
            reach: Reach::new(&entry.id),
            api: Api::new(github).map_err(|error| format!("github.{error}"))?,
            domains: EmailDomains::new(entry)?,
            places: Semaphore::new(MAX_CONCURRENT),
            other_places: Semaphore::new(MAX_CONCURRENT),
        };
        let pace = Pace::new(github.checks_per_minute, Instant::now());
        Ok(Some(Self { id: entry.id.clone(), app: Arc::new(app), cache: Cache::new(pace) }))
    }

    /// Whose token it is; asks GitHub unless that was done within the last 60 s.
    pub async fn verify(&self, token: &str) -> Result<Arc<Identity>, TokenError> {
        let token = Token::parse(token).ok_or(TokenError::Invalid("not a bearer token"))?;
        if OF_OTHERS.iter().any(|prefix| token.expose().starts_with(prefix)) {
            return Err(TokenError::Invalid("of a kind that GitHub gives to no user of an app"));
        }
        let app = Arc::clone(&self.app);
        self.cache.get(token.key(), Instant::now(), |was_good| async move { app.ask(&token, was_good).await }).await
    }
}

impl App {
    async fn ask(&self, token: &Token, was_good: bool) -> Result<Arc<Identity>, TokenError> {
        let places = if was_good { &self.places } else { &self.other_places };
        let asked = tokio::time::timeout(api::TIMEOUT, async {
            let _place = places.acquire().await.map_err(|error| api::Failure::Down(error.to_string()))?;
            let attest_time = OffsetDateTime::now_utc();
            let person = self.api.person_of(token).await?;
            Ok(Identity {
                issuer: self.id.clone(),
                subject: vec![person.id.to_string()],
                provider: GITHUB.to_owned(),
                tenant: None,
                // what the token may not read is none: else the addresses of before would stay for ever
                emails: Some(person.emails.into_iter().filter(|email| self.domains.have(email.domain())).collect()),
                attest_time,
            })
        });
        let down = |problem: &str| {
            self.reach.is_down(problem);
            Err(TokenError::NO_ANSWER)
        };
        let up = |answer| {
            self.reach.is_up();
            answer
        };
        match asked.await {
            Ok(Ok(identity)) => up(Ok(Arc::new(identity))),
            Ok(Err(api::Failure::Refused(why))) => up(Err(TokenError::Invalid(why))),
            Ok(Err(api::Failure::Down(problem))) => down(&problem),
            Err(_) => down("no answer within 5 s"),
        }
    }
}
