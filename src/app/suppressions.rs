//! Addresses that want no email of people they do not know, on their own demand: kept by services.

use sqlx::Connection;

use super::accounts::{remember, replay};
use super::error::ATTEMPTS;
use super::{App, Error, Result};
use crate::domain::{Caller, EmailAddress, Method, Refusal, Request};
use crate::store::accounts::identity_hash;
use crate::store::{self, suppressions};

/// What such a request id was used for: no name of a resource, which would tell whose it is.
const RESOURCE: &str = "emailSuppressions";

/// An address that is to be suppressed, or not any more.
#[derive(Clone, Debug)]
pub struct Suppression {
    pub caller: Caller,
    pub email: EmailAddress,
    pub is_wanted: bool,
    pub request: Option<Request>,
}

impl Suppression {
    fn method(&self) -> Method {
        if self.is_wanted { Method::SuppressEmail } else { Method::UnsuppressEmail }
    }
}

impl App {
    /// Suppresses an address or takes that back; what is so already stays so.
    pub async fn suppress(&self, suppression: Suppression) -> Result<()> {
        suppression.method().check_kind(Some(&suppression.caller))?;
        // the table of rights lets nobody else do this
        let Caller::Service(service) = &suppression.caller else { return Err(Error::Fault) };
        let caller = identity_hash(&service.issuer, std::slice::from_ref(&service.subject));
        self.finish(move |app| async move {
            let mut outcome = app.try_suppress(&suppression, caller).await;
            for _ in 1..ATTEMPTS {
                // whoever came first in a race is found by the next look
                if !matches!(outcome, Err(store::Error::Constraint(_) | store::Error::Conflict)) {
                    break;
                }
                outcome = app.try_suppress(&suppression, caller).await;
            }
            Ok(outcome??)
        })
        .await
    }

    async fn try_suppress(
        &self,
        suppression: &Suppression,
        caller: [u8; 32],
    ) -> store::Result<std::result::Result<(), Refusal>> {
        let key = &self.deployment.address_key;
        let method = suppression.method();
        let request = suppression.request.as_ref();
        let request = request.map(|request| Request::new(request.id, key.request(request.digest)));
        let mut connection = self.writes.acquire().await?;
        let mut transaction = connection.begin().await?;
        match replay(&mut transaction, caller, request.as_ref(), method).await? {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(Ok(())),
            Err(refusal) => return Ok(Err(refusal)),
        }
        let [mailbox, address] = key.suppressions(&suppression.email);
        let is_change = if suppression.is_wanted {
            suppressions::insert(&mut transaction, &mailbox).await?
        } else {
            // under one name or the other
            suppressions::delete(&mut transaction, &mailbox).await?
                | suppressions::delete(&mut transaction, &address).await?
        };
        if !is_change {
            // what has changed nothing leaves nothing
            return Ok(Ok(()));
        }
        remember(&mut transaction, caller, request.as_ref(), method, RESOURCE.to_owned()).await?;
        transaction.commit().await?;
        Ok(Ok(()))
    }
}
