//! Who calls: exactly one of an account, an identity without an account, or a service.

use std::fmt;

use super::{EmailAddress, OrganizationId, Refusal, Role, Scope, Timestamp, Username};

/// What a valid token of a user says about the person who signed in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The `id` of the issuer's entry in the configuration, never a URL.
    pub issuer: String,
    /// What names the person at the issuer; Entra: tenant and object id.
    pub subject: Vec<String>,
    /// `github`, `entra`, or what the issuer's entry says.
    pub provider: String,
    /// Entra's tenant, shown to administrators.
    pub tenant: Option<String>,
    /// The addresses that the issuer attests as verified; `None` where the token says nothing about addresses.
    pub emails: Option<Vec<EmailAddress>>,
    /// `iat`: only a newer token replaces what an older one attested.
    pub attest_time: Timestamp,
}

/// What a service's entry in the configuration allows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// The `id` of the issuer's entry.
    pub issuer: String,
    pub subject: String,
    pub scopes: Vec<Scope>,
    /// `None` is every organization.
    pub organizations: Option<Vec<OrganizationId>>,
    /// The highest role that it may grant, with [`Scope::MembersGrant`].
    pub highest_role: Role,
}

impl Service {
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// The same, or the refusal.
    pub fn check(&self, scope: Scope) -> Result<(), Refusal> {
        if self.has(scope) { Ok(()) } else { Err(Refusal::ScopeRequired(scope)) }
    }

    /// Whether the organization exists for this service.
    pub fn reaches(&self, organization: &OrganizationId) -> bool {
        self.organizations.as_ref().is_none_or(|list| list.contains(organization))
    }

    pub fn actor(&self) -> Actor {
        Actor::Service { issuer: self.issuer.clone(), subject: self.subject.clone() }
    }

    /// Whether this entry is that actor's; the subject `*` is everybody at its issuer.
    pub fn is(&self, actor: &Actor) -> bool {
        let everybody = self.subject == "*";
        matches!(actor, Actor::Service { issuer, subject } if *issuer == self.issuer && (everybody || *subject == self.subject))
    }
}

/// Who calls, with an identity already looked up.
#[derive(Clone, Debug)]
pub enum Caller {
    Account(Username),
    Service(Service),
}

impl Caller {
    pub fn actor(&self) -> Actor {
        match self {
            Self::Account(username) => Actor::Account(username.clone()),
            Self::Service(service) => service.actor(),
        }
    }

    pub fn username(&self) -> Option<&Username> {
        match self {
            Self::Account(username) => Some(username),
            Self::Service(_) => None,
        }
    }

    /// The organizations that exist for it in what is read about an account, one of which has to know the account; `None`
    /// is every one.
    pub fn organizations(&self) -> Option<&[OrganizationId]> {
        match self {
            Self::Account(_) => None,
            Self::Service(service) => service.organizations.as_deref(),
        }
    }
}

/// A caller as it is stored and shown: `accounts/{username}`, `services/{issuer id}/{subject}`, or what a newer version
/// has written, which has no right here.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Actor {
    Account(Username),
    Service { issuer: String, subject: String },
    Newer(String),
}

impl Actor {
    /// Reads the stored form.
    pub fn stored(text: &str) -> Self {
        let account = text.strip_prefix("accounts/").and_then(Username::parse).map(Self::Account);
        let service = || {
            let (issuer, subject) = text.strip_prefix("services/")?.split_once('/')?;
            Some(Self::Service { issuer: issuer.to_owned(), subject: subject.to_owned() })
        };
        account.or_else(service).unwrap_or_else(|| Self::Newer(text.to_owned()))
    }

    pub fn username(&self) -> Option<&Username> {
        match self {
            Self::Account(username) => Some(username),
            Self::Service { .. } | Self::Newer(_) => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(username) => write!(f, "accounts/{username}"),
            Self::Service { issuer, subject } => write!(f, "services/{issuer}/{subject}"),
            Self::Newer(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_actor_reads_back() {
        for (text, is_newer) in [
            ("accounts/anna", false),
            ("services/k8s/system:serviceaccount:ops/gateway", false),
            ("groups/staff", true),
            ("accounts/Ä!", true),
        ] {
            let actor = Actor::stored(text);
            assert_eq!((actor.to_string().as_str(), matches!(actor, Actor::Newer(_))), (text, is_newer));
        }
    }
}
