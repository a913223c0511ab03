//! An issuer's entry in the configuration, and everything about it that is checked before the service starts.

use std::{path::PathBuf, sync::Arc};

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{claims::OneOrMany, jwks, keys::KeySet, source::Source};
use crate::domain::{ID_RULE, OrganizationId, Role, Scope, Service, Username, a_label};

/// The provider whose tokens name a person by tenant and object id and attest addresses with `xms_edov`.
pub const ENTRA: &str = "entra";
pub const GITHUB: &str = "github";

/// Every `iss` of the dev issuer starts with this; nobody can serve keys there, so that no real issuer has it.
pub(crate) const DEV_ISSUERS: &str = "https://dev.invitations.ipmhub.io/";
/// The subject that stands for every subject of a dev issuer.
const ANY_SUBJECT: &str = "*";
/// What `algorithms` may hold, and is where it is absent.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// One `[[issuers]]` table of the configuration file, or one object in `INVITATIONS_ISSUERS`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerEntry {
    /// Stored with each identity and service, so it is chosen once: 3 to 39 of `a-z 0-9 -`.
    pub id: String,
    pub kind: IssuerKind,
    /// The `iss` claim, compared byte for byte.
    pub issuer: String,
    /// The `aud` claim must have it. No two entries have the same `issuer` and `audience`.
    pub audience: String,
    /// The issuer's keys; exactly one of `jwks_url`, `jwks_file` and `discovery` is set. URLs are https, or loopback.
    pub jwks_url: Option<String>,
    pub jwks_file: Option<PathBuf>,
    /// The keys are where `{issuer}/.well-known/openid-configuration` says.
    #[serde(default)]
    pub discovery: bool,
    /// Some of `EdDSA`, `ES256` and `RS256`.
    #[serde(default = "all_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// The `typ` header that tokens must have, such as `at+jwt`. Without it `JWT`, `at+jwt` and none are taken.
    pub typ: Option<String>,
    /// A scope that tokens must have in `scope` or `scp`.
    pub scope: Option<String>,
    /// `user`: `github`, `entra` or another name, shown to administrators and compared with their policies.
    pub provider: Option<String>,
    /// `user`: the domains whose addresses the issuer may attest; `"*"` only for github and entra.
    pub email_domains: Option<OneOrMany>,
    /// `user`, entra: the tenant ids that may sign in.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// `service`: the services that may call; nobody else's token is taken.
    #[serde(default)]
    pub services: Vec<ServiceEntry>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IssuerKind {
    User,
    Service,
}

/// What one service may do. Where its token has a `scope` or `scp` claim, the scopes missing there are taken away.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceEntry {
    /// The `sub` claim; `*`, for the dev issuer only, is every one that has no entry of its own.
    pub subject: String,
    pub scopes: Vec<String>,
    /// Ids, or `"*"`.
    pub organizations: OneOrMany,
    /// The highest role that it may grant; CONTRIBUTOR where absent.
    pub highest_role: Option<String>,
}

impl IssuerEntry {
    /// Whether it trusts the dev issuer, whose key lies on a developer's disk. `serve` must not start with one.
    pub fn is_dev(&self) -> bool {
        self.issuer.starts_with(DEV_ISSUERS)
    }
}

/// An entry that holds all rules.
#[derive(Debug)]
pub(super) struct Issuer {
    pub id: String,
    pub iss: String,
    pub audience: String,
    pub algorithms: Vec<Algorithm>,
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

#[derive(Debug)]
pub(super) struct Users {
    pub provider: String,
    /// Empty for providers other than entra.
    pub tenants: Vec<String>,
    /// As A-labels; `None` is every domain.
    pub email_domains: Option<Vec<String>>,
}

impl Issuer {
    /// Checks an entry; an error is one line that names entry and field.
    pub fn new(entry: IssuerEntry) -> Result<Self, String> {
        let id = entry.id.clone();
        Self::checked(entry).map_err(|error| format!("issuers: entry {id:?}: {error}"))
    }

    fn checked(entry: IssuerEntry) -> Result<Self, String> {
        if !is_id(&entry.id) {
            return Err(format!("id {ID_RULE}"));
        }
        for (field, value) in [("issuer", Some(&entry.issuer)), ("audience", Some(&entry.audience))]
            .into_iter()
            .chain([("typ", entry.typ.as_ref()), ("scope", entry.scope.as_ref())])
        {
            if value.is_some_and(|value| value.is_empty() || value.contains(char::is_whitespace)) {
                return Err(format!("{field} must not be empty or have blanks"));
            }
        }
        if entry.algorithms.is_empty() || entry.algorithms.iter().any(|one| !ALGORITHMS.contains(one)) {
            return Err("algorithms must be some of EdDSA, ES256, RS256".to_owned());
        }
        let callers = match entry.kind {
            IssuerKind::User => Callers::Users(users(&entry)?),
            IssuerKind::Service => Callers::Services(services(&entry)?),
        };
        let keys = keys(&entry)?;
        let IssuerEntry { id, issuer: iss, audience, algorithms, typ, scope, .. } = entry;
        Ok(Self { id, iss, audience, algorithms, typ, scope, callers, keys })
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
}

fn all_algorithms() -> Vec<Algorithm> {
    ALGORITHMS.to_vec()
}

/// All our ids follow the rule of usernames.
fn is_id(text: &str) -> bool {
    Username::parse(text).is_some()
}

fn keys(entry: &IssuerEntry) -> Result<Arc<KeySet>, String> {
    match (&entry.jwks_url, &entry.jwks_file, entry.discovery) {
        (Some(url), None, false) => {
            let source = Source::url(url).map_err(|error| format!("jwks_url {error}"))?;
            Ok(KeySet::new(&entry.id, source, jwks::Keys::new()))
        }
        // a file is there at start or never: it is read now, so that a wrong path is noticed
        (None, Some(path), false) => {
            let json = std::fs::read(path).map_err(|error| format!("jwks_file {}: {error}", path.display()))?;
            let known = jwks::parse(&json).map_err(|error| format!("jwks_file {}: {error}", path.display()))?;
            Ok(KeySet::new(&entry.id, Source::File(path.clone()), known))
        }
        (None, None, true) => {
            let source = Source::discovery(&entry.issuer).map_err(|error| format!("discovery: issuer {error}"))?;
            Ok(KeySet::new(&entry.id, source, jwks::Keys::new()))
        }
        _ => Err("set exactly one of jwks_url, jwks_file and discovery".to_owned()),
    }
}

fn users(entry: &IssuerEntry) -> Result<Users, String> {
    if !entry.services.is_empty() {
        return Err("services is for kind \"service\"".to_owned());
    }
    let Some(provider) = entry.provider.clone().filter(|provider| is_id(provider)) else {
        return Err(format!("provider is required and {ID_RULE}"));
    };
    let is_tenant_id = |tenant: &String| Uuid::try_parse(tenant).is_ok_and(|id| id.to_string() == *tenant);
    if (provider == ENTRA) == entry.tenants.is_empty() || !entry.tenants.iter().all(is_tenant_id) {
        return Err("tenants must list tenant ids in lower case for provider \"entra\", and none for others".to_owned());
    }
    let domains = entry.email_domains.as_ref().map_or(&[][..], OneOrMany::as_slice);
    let email_domains = if domains == ["*"] && [GITHUB, ENTRA].contains(&provider.as_str()) {
        None
    } else {
        let labels = domains.iter().map(|domain| a_label(domain)).collect::<Option<Vec<_>>>();
        Some(
            labels
                .filter(|labels| !labels.is_empty())
                .ok_or("email_domains must list domains such as example.com (\"*\" only for github and entra)")?,
        )
    };
    Ok(Users { provider, tenants: entry.tenants.clone(), email_domains })
}

fn services(entry: &IssuerEntry) -> Result<Vec<Service>, String> {
    if entry.provider.is_some() || entry.email_domains.is_some() || !entry.tenants.is_empty() {
        return Err("provider, email_domains and tenants are for kind \"user\"".to_owned());
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
    let highest_role = match &entry.highest_role {
        None => Role::Contributor,
        Some(name) => Role::parse(name)
            .ok_or_else(|| format!("highest_role must be one of {}", Role::ALL.map(Role::as_str).join(", ")))?,
    };
    Ok(Service { issuer: issuer.id.clone(), subject: entry.subject.clone(), scopes, organizations, highest_role })
}
