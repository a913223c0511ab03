//! Who a token belongs to: tokens of configured issuers, checked against the keys that these publish or, for GitHub's,
//! by asking GitHub.

mod answering;
mod claims;
mod entra;
mod entry;
mod github;
mod issuer;
mod jwks;
mod keys;
mod reach;
mod source;
#[cfg(test)]
mod tests;
mod times;
mod token;
mod users;
mod verified;
mod verifier;

pub use claims::OneOrMany;
#[cfg(feature = "dev")]
pub(crate) use entry::DEV_ISSUERS;
pub use entry::{ENTRA, GITHUB, GithubEntry, IssuerEntry, IssuerKind, ServiceEntry, VerifiedDomain};
pub use verifier::Verifier;

use std::{sync::Arc, time::Duration};

use crate::domain::{Identity, Service};

/// What a valid token proves. Cheap to clone: it is remembered for the next call with the token.
#[derive(Clone, Debug)]
pub enum Credential {
    User(Arc<Identity>),
    Service(Arc<Service>),
}

/// Why a token proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TokenError {
    /// The reason is for our log and has no part of the token in it; callers hear only that the token is not valid.
    #[error("the token is not valid: {0}")]
    Invalid(&'static str),
    /// The token may be good, but that is not known before the issuer is asked again; worth a retry after that time.
    #[error("the issuer cannot be asked")]
    IssuerUnavailable(Duration),
}

impl TokenError {
    /// The issuer does not answer, and may in a moment.
    pub const NO_ANSWER: Self = Self::IssuerUnavailable(Duration::from_secs(5));
}

impl From<&'static str> for TokenError {
    fn from(why: &'static str) -> Self {
        Self::Invalid(why)
    }
}
