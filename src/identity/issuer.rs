//! Everything about an issuer's entry that is checked before the service starts, and what it becomes.

use std::sync::Arc;

use jsonwebtoken::Algorithm;

use super::{
    entra::{self, Tenants},
    entry::{ALGORITHMS, ENTRA, IssuerEntry, IssuerKind, ServiceEntry, is_id},
    keys::KeySet,
    source::{Access, Source},
    token::media_type,
    users::Users,
};
use crate::domain::{ID_RULE, OrganizationId, Role, Scope, Service};

/// The subject that stands for every subject of a dev issuer.
const ANY_SUBJECT: &str = "*";
const MAX_LEEWAY: u8 = 60;

/// An entry for JWTs that holds all rules.
#[derive(Debug)]
pub(super) struct Issuer {
    pub id: String,
    /// With a placeholder for the tenant, where the provider is Entra.
    pub iss: String,
    pub audience: String,
    pub algorithms: Vec<Algorithm>,
    pub leeway_seconds: u8,
    /// As [`media_type`] has it.
    pub typ: Option<String>,
    pub scope: Option<String>,
    pub callers: Callers,
    pub keys: Arc<KeySet>,
}

#[derive(Debug)]
pub(super) enum Callers {
    Users(Users),
    Services(Vec<Service>),
}

impl Issuer {
    /// Checks an entry; an error completes "entry …: " and names the field.
    pub fn new(entry: IssuerEntry) -> Result<Self, String> {
        let field = |name: &str, value: &Option<String>| {
            value.clone().ok_or_else(|| format!("{name} is required, unless the entry has github"))
        };
        let (iss, audience) = (field("issuer", &entry.issuer)?, field("audience", &entry.audience)?);
        for (field, value) in [("issuer", Some(&iss)), ("audience", Some(&audience))]
            .into_iter()
            .chain([("typ", entry.typ.as_ref()), ("scope", entry.scope.as_ref())])
        {
            if value.is_some_and(|value| value.is_empty() || value.contains(char::is_whitespace)) {
                return Err(format!("{field} must not be empty or have blanks"));
            }
        }
        if entry.provider.as_deref() != Some(ENTRA) && iss.contains('{') {
            return Err("issuer can have a placeholder only for provider \"entra\"".to_owned());
        }
        if entry.algorithms.is_empty() || entry.algorithms.iter().any(|one| !ALGORITHMS.contains(one)) {
            return Err("algorithms must be some of EdDSA, ES256, RS256".to_owned());
        }
        if entry.leeway_seconds > MAX_LEEWAY {
            return Err(format!("leeway_seconds must be at most {MAX_LEEWAY}"));
        }
        let callers = match entry.kind {
            IssuerKind::User => {
                if !entry.services.is_empty() {
                    return Err("services is for kind \"service\"".to_owned());
                }
                Callers::Users(Users::new(&entry)?)
            }
            IssuerKind::Service => Callers::Services(services(&entry)?),
        };
        if entry.provider.as_deref() == Some(ENTRA) && entry.scope.is_none() {
            return Err(
                "scope is required for provider \"entra\": it tells an access token from an ID token".to_owned()
            );
        }
        // both kinds of token may be called JWT; RFC 9068 gives access tokens a type of their own for this reason
        let typ = entry.typ.as_deref().map(media_type);
        let typ_tells = typ.as_ref().is_some_and(|typ| typ != "jwt");
        if entry.kind == IssuerKind::User && !typ_tells && entry.scope.is_none() {
            let rule = "typ other than JWT, or scope, is required for kind \"user\", or ID tokens would count: set typ to \
                        that of access tokens, such as \"at+jwt\", or scope to one that they have";
            return Err(rule.to_owned());
        }
        let keys = keys(&entry, &iss)?;
        let IssuerEntry { id, algorithms, leeway_seconds, scope, .. } = entry;
        Ok(Self { id, iss, audience, algorithms, leeway_seconds, typ, scope, callers, keys })
    }

    /// What the configuration allows a service now.
    pub fn service(&self, subject: &str) -> Option<Service> {
        let Callers::Services(services) = &self.callers else { return None };
        // a token for `*` would read as everybody's wherever its subject is compared
        if subject == ANY_SUBJECT {
            return None;
        }
        let entry = |name: &str| services.iter().find(|service| service.subject == name);
        let service = entry(subject).or_else(|| entry(ANY_SUBJECT))?;
        Some(Service { subject: subject.to_owned(), ..service.clone() })
    }

    /// Whether a token with this `iss` and this `tid` is this issuer's; only Entra's look at the tenant.
    pub fn is_named(&self, iss: &str, tenant: Option<&str>) -> bool {
        match (self.tenants(), tenant) {
            (Some(tenants), Some(tenant)) => tenants.admits(tenant) && entra::filled(&self.iss, tenant) == iss,
            _ => self.iss == iss,
        }
    }

    /// Whether one token could fit both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.audience == other.audience && entra::overlap((&self.iss, self.tenants()), (&other.iss, other.tenants()))
    }

    pub fn tenants(&self) -> Option<&Tenants> {
        match &self.callers {
            Callers::Users(users) => users.tenants.as_ref(),
            Callers::Services(_) => None,
        }
    }
}

/// The one check of an entry of any kind.
pub(super) fn check_id(entry: &IssuerEntry) -> Result<(), String> {
    if is_id(&entry.id) { Ok(()) } else { Err(format!("id {ID_RULE}")) }
}

fn keys(entry: &IssuerEntry, iss: &str) -> Result<Arc<KeySet>, String> {
    let access = || Access::new(entry.ca_file.clone(), entry.bearer_token_file.clone());
    let secrets = entry.bearer_token_file.is_some();
    match (&entry.jwks_url, &entry.jwks_file, entry.discovery) {
        (Some(url), None, false) => {
            let source = Source::url(url, access()?).map_err(|error| format!("jwks_url {error}"))?;
            Ok(KeySet::new(&entry.id, source))
        }
        // whoever answers for the issuer names the place of the keys: a token of ours is not for anybody they name
        (None, _, _) if secrets => Err("bearer_token_file is for jwks_url".to_owned()),
        (None, Some(_), false) if entry.ca_file.is_some() => Err("ca_file is for jwks_url and discovery".to_owned()),
        // a file is there at start or never: it is read now, so that a wrong path is noticed
        (None, Some(path), false) => {
            let named = |error: String| format!("jwks_file {}: {error}", path.display());
            let json = std::fs::read(path).map_err(|error| format!("jwks_file: {error}"))?;
            KeySet::holding(&entry.id, Source::File(path.clone()), &json).map_err(named)
        }
        (None, None, true) => {
            let source = Source::discovery(iss, access()?).map_err(|error| format!("discovery: issuer {error}"))?;
            Ok(KeySet::new(&entry.id, source))
        }
        _ => Err("set exactly one of jwks_url, jwks_file and discovery".to_owned()),
    }
}

fn services(entry: &IssuerEntry) -> Result<Vec<Service>, String> {
    if entry.provider.is_some()
        || entry.email_domains.is_some()
        || entry.tenants.is_some()
        || !entry.verified_domains.is_empty()
    {
        return Err("provider, email_domains, tenants and verified_domains are for kind \"user\"".to_owned());
    }
    if entry.services.is_empty() {
        return Err("services must have an entry".to_owned());
    }
    let mut services = Vec::<Service>::new();
    for one in &entry.services {
        let service = service(entry, one).map_err(|error| format!("services: subject {:?}: {error}", one.subject))?;
        if services.iter().any(|other| other.subject == service.subject) {
            return Err(format!("services: subject {:?} is there twice", one.subject));
        }
        services.push(service);
    }
    Ok(services)
}

fn service(issuer: &IssuerEntry, entry: &ServiceEntry) -> Result<Service, String> {
    if entry.subject.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if entry.subject == ANY_SUBJECT && !issuer.is_dev() {
        return Err("is for the dev issuer only; name each service".to_owned());
    }
    let scopes = entry
        .scopes
        .iter()
        .map(|name| Scope::parse(name))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| format!("scopes must be some of {}", Scope::ALL.map(Scope::as_str).join(", ")))?;
    let organizations = if entry.organizations.is_all() {
        None
    } else {
        let ids = entry.organizations.as_slice().iter().map(|id| OrganizationId::parse(id)).collect::<Option<Vec<_>>>();
        Some(ids.ok_or("organizations must be a list of organization ids, or \"*\"")?)
    };
    if let (Some(scope), Some(_)) = (scopes.iter().find(|scope| scope.is_of_all_organizations()), &organizations) {
        let scope = scope.as_str();
        return Err(format!("scopes: {scope} acts on every organization, so organizations must be \"*\""));
    }
    let highest_role = match &entry.highest_role {
        None => Role::Contributor,
        Some(name) => Role::parse(name)
            .ok_or_else(|| format!("highest_role must be one of {}", Role::ALL.map(Role::as_str).join(", ")))?,
    };
    Ok(Service { issuer: issuer.id.clone(), subject: entry.subject.clone(), scopes, organizations, highest_role })
}
