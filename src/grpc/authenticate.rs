//! Who calls: from the one verified `authorization` value and from nothing else.

use std::sync::Arc;

use tonic::{Request, Status};

use super::{Api, status, telemetry};
use crate::domain::{Caller, Identity, Method, Refusal, Service};
use crate::identity::{Credential, TokenError};

/// A caller whose token is good.
#[derive(Debug)]
pub enum Authenticated {
    /// A person, with or without an account yet.
    Person {
        identity: Arc<Identity>,
        caller: Option<Caller>,
    },
    Service(Arc<Service>),
}

impl Authenticated {
    /// `None`: a person without an account.
    fn caller(&self) -> Option<Caller> {
        match self {
            Self::Person { caller, .. } => caller.clone(),
            Self::Service(service) => Some(Caller::Service(Service::clone(service))),
        }
    }

    /// As logs name them: of a person without an account no more than where they signed in.
    fn name(&self) -> String {
        match self {
            Self::Person { caller: None, identity } => format!("identities/{}", identity.issuer),
            Self::Person { caller: Some(caller), .. } => caller.actor().to_string(),
            Self::Service(service) => service.actor().to_string(),
        }
    }
}

impl Api {
    /// Who calls, where the table of rights lets that kind of caller call the RPC at all. Every handler begins here; an
    /// account that the RPC cannot do without is there afterwards.
    pub async fn caller<T>(&self, method: Method, request: &Request<T>) -> Result<Caller, Status> {
        let caller = self.authenticate(method, request).await?.caller();
        caller.ok_or_else(|| status::from_refusal(Refusal::AccountRequired))
    }

    /// The same, for RPCs that a person without an account may call too.
    pub async fn authenticate<T>(&self, method: Method, request: &Request<T>) -> Result<Authenticated, Status> {
        let authenticated = self.verify(request).await?;
        let caller = authenticated.caller();
        telemetry::note_caller(authenticated.name());
        method.check_kind(caller.as_ref()).map_err(status::from_refusal)?;
        Ok(authenticated)
    }

    /// Checks the token and looks up the account.
    async fn verify<T>(&self, request: &Request<T>) -> Result<Authenticated, Status> {
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
            Err(TokenError::IssuerUnavailable) => Err(status::issuer_unavailable().into()),
        }
    }
}
