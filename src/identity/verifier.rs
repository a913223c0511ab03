//! From a bearer token to a caller: the one place where a token is believed.

use std::{convert::Infallible, sync::Arc};

use time::OffsetDateTime;

use super::{
    Credential, IssuerEntry, TokenError,
    claims::Claims,
    entra,
    github::Github,
    issuer::{Callers, Issuer, check_id},
    token::{Token, is_jwt},
    users::{Users, subject},
    verified::{self, Verified, VerifiedTokens},
};
use crate::domain::{Scope, Service};

const OF_NO_ISSUER: &str = "of no configured issuer, tenant and audience";

/// The configured issuers with their keys. Checking a token with a known key takes no lock across an await, and a good
/// token is checked once.
#[derive(Debug)]
pub struct Verifier {
    pub(super) issuers: Vec<Issuer>,
    github: Option<Github>,
    /// Sorted, each once.
    providers: Vec<String>,
    pub(super) verified: VerifiedTokens,
}

impl Verifier {
    /// Checks the entries, and reads the files among them; URLs are asked by [`Verifier::follow`], or when the first
    /// token arrives.
    ///
    /// An error is one line that names the entry and the field.
    pub fn new(entries: Vec<IssuerEntry>) -> Result<Self, String> {
        let mut ids = Vec::<String>::new();
        let mut verifier =
            Self { issuers: Vec::new(), github: None, providers: Vec::new(), verified: VerifiedTokens::default() };
        for entry in entries {
            let id = entry.id.clone();
            let named = |error: String| format!("issuers: entry {id:?}: {error}");
            check_id(&entry).map_err(named)?;
            verifier.providers.extend(entry.provider.clone());
            if ids.contains(&id) {
                return Err(named("id is there twice".to_owned()));
            }
            match Github::new(&entry).map_err(named)? {
                Some(github) => verifier.add_github(github)?,
                None => verifier.add(Issuer::new(entry).map_err(named)?)?,
            }
            ids.push(id);
        }
        verifier.providers.sort();
        verifier.providers.dedup();
        Ok(verifier)
    }

    fn add(&mut self, issuer: Issuer) -> Result<(), String> {
        if let Some(other) = self.issuers.iter().find(|other| other.overlaps(&issuer)) {
            let (one, two) = (&other.id, &issuer.id);
            return Err(format!(
                "issuers: entries {one:?} and {two:?}: issuer and audience must differ in one, or one token could fit \
                 both"
            ));
        }
        self.issuers.push(issuer);
        Ok(())
    }

    fn add_github(&mut self, github: Github) -> Result<(), String> {
        if let Some(other) = &self.github {
            let (one, two) = (&other.id, &github.id);
            return Err(format!(
                "issuers: entries {one:?} and {two:?}: only one can have github, because its tokens do not say whose \
                 they are"
            ));
        }
        self.github = Some(github);
        Ok(())
    }

    /// Fetches the keys of every issuer, so that no caller need wait for them, and fetches them again in time. One that
    /// does not answer is asked every 5 s, and holds up no other. Never ends.
    pub async fn follow(&self) -> Infallible {
        let issuers = self.issuers.iter().map(|issuer| issuer.keys.follow());
        futures_util::future::join_all(issuers).await;
        // there is none
        std::future::pending().await
    }

    /// Whose token it is. May ask the issuer for its keys, or GitHub for the person, for 5 s at most, where the answer
    /// is not known.
    pub async fn verify(&self, token: &str) -> Result<Credential, TokenError> {
        match &self.github {
            Some(github) if !is_jwt(token) => github.verify(token).await.map(Credential::User),
            _ => self.verify_jwt(token, OffsetDateTime::now_utc().unix_timestamp()).await,
        }
    }

    /// Whose token it is, where it was checked before and still holds.
    pub fn remembered(&self, token: &str) -> Option<Credential> {
        self.verified.get(&verified::hash(token), OffsetDateTime::now_utc().unix_timestamp())
    }

    /// `now` in seconds since 1970.
    pub(super) async fn verify_jwt(&self, token: &str, now: i64) -> Result<Credential, TokenError> {
        let hash = verified::hash(token);
        if let Some(credential) = self.verified.get(&hash, now) {
            return Ok(credential);
        }
        let token = Token::parse(token)?;
        let claims = &token.claims;
        let issuer = self.issuer_of(claims)?;
        // all that is cheap comes first: an expired token must not make us ask the issuer
        issuer.check(&token, now)?;
        let kid = token.header.kid.as_deref().ok_or("names no key")?;
        let key = issuer.keys.find(kid, claims.times()?.age(now)).await?;
        if key.algorithm != token.header.alg || !issuer.algorithms.contains(&key.algorithm) {
            return Err("signed by an algorithm that is not the key's or not allowed".into());
        }
        if !key.signs_for(claims.iss()?, claims.tid())? {
            return Err("signed by a key of another issuer".into());
        }
        if !key.has_signed(token.message, token.signature) {
            return Err("the signature is wrong".into());
        }
        let credential = issuer.credential(claims)?;
        let verified = Verified {
            times: claims.times()?,
            leeway_seconds: issuer.leeway_seconds,
            keys: Arc::clone(&issuer.keys),
            key,
            credential: credential.clone(),
        };
        self.verified.remember(hash, verified);
        Ok(credential)
    }

    /// What the configuration allows a service now, whatever its token said when it made an offer.
    pub fn service(&self, issuer: &str, subject: &str) -> Option<Service> {
        self.issuers.iter().find(|entry| entry.id == issuer)?.service(subject)
    }

    /// All configured services, as [`Service::is`] compares them: the subject `*` is every one of a dev issuer.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.issuers.iter().flat_map(|issuer| match &issuer.callers {
            Callers::Services(services) => services.as_slice(),
            Callers::Users(_) => &[],
        })
    }

    /// What people can sign in with: `Account.provider` is one of these.
    pub fn providers(&self) -> &[String] {
        &self.providers
    }

    fn issuer_of(&self, claims: &Claims) -> Result<&Issuer, &'static str> {
        let (iss, aud, tenant) = (claims.iss()?, claims.aud()?, claims.tid());
        let is_named = |issuer: &Issuer| issuer.is_named(iss, tenant.unwrap_or_default());
        let addressed = || self.issuers.iter().filter(|issuer| aud.contains(&issuer.audience));
        let mut fitting = addressed().filter(|issuer| is_named(issuer));
        match (fitting.next(), fitting.next()) {
            (Some(issuer), None) => Ok(issuer),
            // a tenant that cannot be read is the reason where somebody would have looked at it
            (None, _) if addressed().any(|issuer| issuer.tenants().is_some()) => tenant.and(Err(OF_NO_ISSUER)),
            (None, _) => Err(OF_NO_ISSUER),
            (Some(_), Some(_)) => Err("for more than one configured audience"),
        }
    }
}

impl Issuer {
    /// The conditions that need no key.
    fn check(&self, token: &Token<'_>, now: i64) -> Result<(), &'static str> {
        let claims = &token.claims;
        claims.times()?.check(now, self.leeway_seconds)?;
        if !self.takes_type(token.typ().as_deref()) {
            return Err("its typ is another one");
        }
        if token.is_id_token() {
            return Err("an ID token");
        }
        let Some(scope) = &self.scope else { return Ok(()) };
        if let Callers::Users(Users { tenants: Some(_), .. }) = &self.callers {
            return entra::check(claims, scope);
        }
        if !claims.scopes()?.is_some_and(|scopes| scopes.contains(&scope.as_str())) {
            return Err("without the required scope");
        }
        Ok(())
    }

    fn takes_type(&self, typ: Option<&str>) -> bool {
        match &self.typ {
            Some(required) => typ == Some(required),
            // logout+jwt, dpop+jwt and the like carry the same claims and are for other purposes (RFC 8725, 3.11)
            None => matches!(typ, None | Some("jwt" | "at+jwt")),
        }
    }

    fn credential(&self, claims: &Claims) -> Result<Credential, &'static str> {
        match &self.callers {
            Callers::Users(users) => users.identity(&self.id, claims).map(|user| Credential::User(Arc::new(user))),
            Callers::Services(_) => {
                let mut service = self.service(subject(claims.sub()?)?).ok_or("of a service without an entry")?;
                if let Some(claimed) = claims.scopes()? {
                    service.scopes.retain(|scope| claimed.contains(&Scope::as_str(*scope)));
                }
                Ok(Credential::Service(Arc::new(service)))
            }
        }
    }
}
