//! From a bearer token to a caller: the one place where a token is believed.

use time::OffsetDateTime;

use super::{
    Credential, ENTRA, IssuerEntry, TokenError,
    claims::{Claims, Token},
    issuer::{Callers, Issuer, Users},
};
use crate::domain::{EmailAddress, Identity, Scope, Service};

/// The longest subject, in bytes (OIDC Core 2 has the same limit).
const MAX_SUBJECT_BYTES: usize = 255;

/// The configured issuers with their keys. Checking a token with a known key takes no lock across an await.
#[derive(Debug)]
pub struct Verifier {
    pub(super) issuers: Vec<Issuer>,
}

impl Verifier {
    /// Checks the entries, and reads the key files among them; URLs are asked when the first token arrives.
    ///
    /// An error is one line that names the entry and the field.
    pub fn new(entries: Vec<IssuerEntry>) -> Result<Self, String> {
        let mut issuers = Vec::<Issuer>::new();
        for entry in entries {
            let issuer = Issuer::new(entry)?;
            for other in &issuers {
                if other.id == issuer.id {
                    return Err(format!("issuers: entry {:?}: id is there twice", issuer.id));
                }
                if other.iss == issuer.iss && other.audience == issuer.audience {
                    let (one, two) = (&other.id, &issuer.id);
                    return Err(format!(
                        "issuers: entries {one:?} and {two:?}: issuer and audience must differ in one, or one \
                         token could fit both"
                    ));
                }
            }
            issuers.push(issuer);
        }
        Ok(Self { issuers })
    }

    /// Whose token it is. May ask the issuer for its keys, for 5 s at most, where the token's key is not known.
    pub async fn verify(&self, token: &str) -> Result<Credential, TokenError> {
        let token = Token::parse(token).map_err(TokenError::Invalid)?;
        let issuer = self.issuer_of(&token.claims).map_err(TokenError::Invalid)?;
        // all that is cheap comes first: an expired token must not make us ask the issuer
        issuer.check(&token, OffsetDateTime::now_utc().unix_timestamp()).map_err(TokenError::Invalid)?;
        let id = token.header.kid.as_deref().ok_or(TokenError::Invalid("names no key"))?;
        let key = issuer.keys.find(id).await?;
        if key.algorithm != token.header.alg || !issuer.algorithms.contains(&key.algorithm) {
            return Err(TokenError::Invalid("signed by an algorithm that is not the key's or not allowed"));
        }
        if !token.is_signed_by(&key) {
            return Err(TokenError::Invalid("the signature is wrong"));
        }
        issuer.credential(&token.claims).map_err(TokenError::Invalid)
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

    fn issuer_of(&self, claims: &Claims) -> Result<&Issuer, &'static str> {
        let fits = |issuer: &&Issuer| issuer.iss == claims.iss && claims.aud.contains(&issuer.audience);
        let mut fitting = self.issuers.iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(issuer), None) => Ok(issuer),
            (None, _) => Err("of no configured issuer and audience"),
            (Some(_), Some(_)) => Err("for more than one configured audience"),
        }
    }
}

impl Issuer {
    /// The conditions that need no key.
    fn check(&self, token: &Token<'_>, now: i64) -> Result<(), &'static str> {
        let claims = &token.claims;
        claims.check_times(now)?;
        if !self.takes_type(token.header.typ.as_deref()) {
            return Err("its typ is another one");
        }
        if claims.is_id_token() {
            return Err("an ID token");
        }
        if let Some(scope) = &self.scope
            && !claims.scopes().is_some_and(|scopes| scopes.contains(&scope.as_str()))
        {
            return Err("without the required scope");
        }
        Ok(())
    }

    /// Media types are compared without case and without `application/` (RFC 7515, 4.1.9).
    fn takes_type(&self, typ: Option<&str>) -> bool {
        let typ = typ.map(str::to_ascii_lowercase);
        let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        match &self.typ {
            Some(required) => typ.is_some_and(|typ| typ.eq_ignore_ascii_case(required)),
            // logout+jwt, dpop+jwt and the like carry the same claims and are for other purposes (RFC 8725, 3.11)
            None => matches!(typ, None | Some("jwt" | "at+jwt")),
        }
    }

    fn credential(&self, claims: &Claims) -> Result<Credential, &'static str> {
        match &self.callers {
            Callers::Users(users) => users.identity(&self.id, claims).map(Credential::User),
            Callers::Services(_) => {
                let mut service = self.service(subject(&claims.sub)?).ok_or("of a service without an entry")?;
                if let Some(claimed) = claims.scopes() {
                    service.scopes.retain(|scope| claimed.contains(&Scope::as_str(*scope)));
                }
                Ok(Credential::Service(service))
            }
        }
    }
}

impl Users {
    fn identity(&self, issuer: &str, claims: &Claims) -> Result<Identity, &'static str> {
        let (subject, tenant) = if self.provider == ENTRA {
            let (Some(tid), Some(oid)) = (&claims.tid, &claims.oid) else {
                return Err("without tid or oid");
            };
            if !self.tenants.contains(tid) {
                return Err("of another tenant");
            }
            (vec![tid.clone(), subject(oid)?.to_owned()], Some(tid.clone()))
        } else {
            (vec![subject(&claims.sub)?.to_owned()], None)
        };
        Ok(Identity {
            issuer: issuer.to_owned(),
            subject,
            provider: self.provider.clone(),
            tenant,
            emails: self.attested(claims),
            attest_time: OffsetDateTime::from_unix_timestamp(claims.iat).map_err(|_| "iat is no time")?,
        })
    }

    /// The address that counts as the person's: verified, and of a domain that this issuer may speak for.
    fn attested(&self, claims: &Claims) -> Option<Vec<EmailAddress>> {
        let email = claims.email.as_deref()?;
        let verified =
            if self.provider == ENTRA { claims.email_domain_owner_is_verified() } else { claims.email_is_verified() };
        let ours = |email: &EmailAddress| {
            self.email_domains.as_ref().is_none_or(|domains| domains.iter().any(|domain| domain == email.domain()))
        };
        Some(EmailAddress::parse(email).filter(|email| verified && ours(email)).into_iter().collect())
    }
}

/// Postgres takes no NUL in a text, and a control character in a log line is a trap.
fn subject(text: &str) -> Result<&str, &'static str> {
    if text.is_empty() || text.len() > MAX_SUBJECT_BYTES || text.contains(char::is_control) {
        return Err("its subject is empty, longer than 255 bytes or has a control character");
    }
    Ok(text)
}
