//! Who calls: from the one verified `authorization` value and from nothing else.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Status};

use super::deadline::Deadline;
use super::shares::{Seat, Who};
use super::{Api, fields, status, telemetry};
use crate::app::{About, Call};
use crate::domain::{Caller, Identity, InvitationId, Method, OrganizationId, Refusal, Service};
use crate::identity::{Credential, TokenError};

/// A caller whose token is good.
#[derive(Debug)]
pub enum Authenticated {
    /// A person, with or without an account yet.
    Person {
        identity: Arc<Identity>,
        call: Option<Call>,
    },
    Service {
        service: Arc<Service>,
        call: Call,
    },
}

impl Authenticated {
    /// `None`: a person without an account.
    fn call(&self) -> Option<&Call> {
        match self {
            Self::Person { call, .. } => call.as_ref(),
            Self::Service { call, .. } => Some(call),
        }
    }

    /// As logs name them: of a person without an account no more than where they signed in.
    fn name(&self) -> String {
        match self {
            Self::Person { call: None, identity } => format!("identities/{}", identity.issuer),
            Self::Person { call: Some(call), .. } | Self::Service { call, .. } => call.caller.actor().to_string(),
        }
    }
}

/// What a call reads below the organization of that name, or changes there; a name that cannot be read is refused later.
fn about(name: &str, is_read: bool) -> About {
    let name = if name.len() > fields::LONGEST_NAME { "" } else { name };
    let end = name.match_indices('/').nth(1).map_or(name.len(), |(end, _)| end);
    About { organization: OrganizationId::from_name(&name[..end]), invitation: None, is_read }
}

impl Api {
    /// Who calls, where the table of rights lets that kind of caller call the RPC at all. Every handler begins here; an
    /// account that the RPC cannot do without is there afterwards.
    pub async fn caller<T>(&self, method: Method, request: &Request<T>) -> Result<Caller, Status> {
        Ok(self.call(method, request, About::NOTHING).await?.caller)
    }

    /// The same for a read of the organization of that name or of what is below it.
    pub async fn reader<T>(&self, method: Method, request: &Request<T>, name: &str) -> Result<Call, Status> {
        self.call(method, request, about(name, true)).await
    }

    /// The same for a change there.
    pub async fn changer<T>(&self, method: Method, request: &Request<T>, name: &str) -> Result<Call, Status> {
        self.call(method, request, about(name, false)).await
    }

    /// The same for a read of the invitation of that name.
    pub async fn invitation_reader<T>(&self, method: Method, request: &Request<T>, name: &str) -> Result<Call, Status> {
        let about = about(name, true);
        let id = || name.rsplit_once('/').and_then(|(_, id)| InvitationId::parse(id));
        let invitation = about.organization.as_ref().and_then(|_| id());
        self.call(method, request, About { invitation, ..about }).await
    }

    /// The same, with what was found of what the call is about.
    pub async fn call<T>(&self, method: Method, request: &Request<T>, about: About) -> Result<Call, Status> {
        match self.authenticate(method, request, about).await? {
            Authenticated::Person { call, .. } => call.ok_or_else(|| status::from_refusal(Refusal::AccountRequired)),
            Authenticated::Service { call, .. } => Ok(call),
        }
    }

    /// The same, for RPCs that a person without an account may call too.
    pub async fn authenticate<T>(
        &self,
        method: Method,
        request: &Request<T>,
        about: About,
    ) -> Result<Authenticated, Status> {
        self.app.admit(method).map_err(status::from_error)?;
        let authenticated = self.verify(method, request, about).await?;
        telemetry::note_caller(authenticated.name());
        method.check_kind(authenticated.call().map(|call| &call.caller)).map_err(status::from_refusal)?;
        Ok(authenticated)
    }

    /// Who a stream is for, asked again while it goes on: it takes no place of calls.
    pub async fn stream_reader(&self, method: Method, headers: &HeaderMap, name: &str) -> Result<Call, Status> {
        let credential = self.credential(headers, None).await?;
        let authenticated = self.look_up(credential, about(name, true)).await?;
        method.check_kind(authenticated.call().map(|call| &call.caller)).map_err(status::from_refusal)?;
        match authenticated {
            Authenticated::Person { call, .. } => call.ok_or_else(|| status::from_refusal(Refusal::AccountRequired)),
            Authenticated::Service { call, .. } => Ok(call),
        }
    }

    /// Checks the token, waits for the caller's turn and looks up the account.
    async fn verify<T>(&self, method: Method, request: &Request<T>, about: About) -> Result<Authenticated, Status> {
        let patience = Deadline::patience(request.extensions());
        let credential = self.credential(request.metadata().as_ref(), patience).await?;
        let place = self.shares.enter(Who::of(&credential, &about), method).await.map_err(status::from_error)?;
        if let Some(seat) = request.extensions().get::<Seat>() {
            seat.keep(place);
        }
        self.look_up(credential, about).await
    }

    /// Whose token it is; the issuer is waited for until then.
    async fn credential(&self, headers: &HeaderMap, patience: Option<Instant>) -> Result<Credential, Status> {
        if !headers.contains_key(AUTHORIZATION) {
            return Err(status::token_missing().into());
        }
        let token = token(headers).ok_or_else(status::token_invalid)?;
        let verified = self.verifier.verify(token);
        let verified = match patience {
            Some(patience) => timeout_at(patience, verified).await.unwrap_or(Err(TokenError::NO_ANSWER)),
            None => verified.await,
        };
        verified.map_err(|error| match error {
            TokenError::Invalid(why) => {
                tracing::info!(why, "token refused");
                status::token_invalid().into()
            }
            TokenError::IssuerUnavailable(wait) => status::issuer_unavailable(wait).into(),
        })
    }

    async fn look_up(&self, credential: Credential, about: About) -> Result<Authenticated, Status> {
        Ok(match credential {
            Credential::Service(service) => {
                let call = self.app.call_of_service(Service::clone(&service), about).await;
                Authenticated::Service { service, call: call.map_err(status::from_error)? }
            }
            Credential::User(identity) => {
                let call = self.app.call_of_person(&identity, about).await.map_err(status::from_error)?;
                Authenticated::Person { call, identity }
            }
        })
    }
}

/// The token of a call that has exactly one.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    value.to_str().ok().and_then(token_of)
}

/// The scheme in any case, one blank or more, the token (RFC 9110, 11.4).
fn token_of(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::token_of;

    #[test]
    fn blanks_part_the_scheme_from_the_token() {
        for good in ["Bearer a.b.c", "Bearer  a.b.c", "bearer     a.b.c", "BEARER a.b.c"] {
            assert_eq!(token_of(good), Some("a.b.c"), "{good}");
        }
        for bad in
            ["", "Bearer", "a.b.c", "Bearer\ta.b.c", "Bearera.b.c", "Basic a.b.c", " Bearer a.b.c", "Bearer, a.b.c"]
        {
            assert_eq!(token_of(bad), None, "{bad}");
        }
        // no token has a blank, and what is left is judged as one
        for (odd, token) in [("Bearer a.b.c ", "a.b.c "), ("Bearer \ta.b.c", "\ta.b.c"), ("Bearer  ", "")] {
            assert_eq!(token_of(odd), Some(token), "{odd}");
        }
    }
}
