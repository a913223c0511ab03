//! Who calls: from the one verified `authorization` value and from nothing else.

use tonic::{Request, Status};

use super::{Api, status};
use crate::domain::{Caller, Identity, Refusal, Service};
use crate::identity::{Credential, TokenError};

/// A caller whose token is good.
#[derive(Debug)]
pub enum Authenticated {
    /// A person, with or without an account yet.
    Person {
        identity: Identity,
        caller: Option<Caller>,
    },
    Service(Service),
}

impl Api {
    /// Checks the token and looks up the account.
    pub async fn authenticate<T>(&self, request: &Request<T>) -> Result<Authenticated, Status> {
        let mut values = request.metadata().get_all("authorization").iter();
        let value = values.next().ok_or_else(status::token_missing)?;
        if values.next().is_some() {
            return Err(status::token_invalid().into());
        }
        let bearer = value.to_str().ok().and_then(|value| value.split_once(' '));
        let token = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token);
        let token = token.ok_or_else(status::token_invalid)?;
        match self.verifier.verify(token).await {
            Ok(Credential::Service(service)) => Ok(Authenticated::Service(service)),
            Ok(Credential::User(identity)) => {
                let account = self.app.account_of(&identity).await.map_err(status::from_error)?;
                Ok(Authenticated::Person { caller: account.map(Caller::Account), identity })
            }
            Err(TokenError::Invalid(why)) => {
                tracing::info!(why, "token refused");
                Err(status::token_invalid().into())
            }
            Err(TokenError::KeysUnavailable) => Err(status::keys_unavailable().into()),
        }
    }

    /// The same, for everything but accounts: a person needs one.
    pub async fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        match self.authenticate(request).await? {
            Authenticated::Person { caller: Some(caller), .. } => Ok(caller),
            Authenticated::Person { caller: None, .. } => Err(status::from_refusal(Refusal::AccountRequired)),
            Authenticated::Service(service) => Ok(Caller::Service(service)),
        }
    }
}
