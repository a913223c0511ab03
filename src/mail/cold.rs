//! Email to people who need not know the organization: how much of it an address gets, and that some get none.
//!
//! Decided when an email is sent, over all organizations together. Whoever invites learns nothing of what others send:
//! an email over the limit waits as if nobody had looked at it.

use std::time::Duration;

use sqlx::PgConnection;

use crate::domain::{AddressKey, EmailAddress};
use crate::store::limits::{self, Asked, Charge};
use crate::store::{Result, suppressions};

/// The window of the limit.
const WINDOW: Duration = Duration::from_hours(24);
/// Until an email that waits is looked at again, at least: others may have been given back meanwhile.
const SHORTEST_WAIT: Duration = Duration::from_mins(1);

/// What holds for cold email.
#[derive(Clone, Debug)]
pub struct ColdMail {
    pub address_key: AddressKey,
    /// Emails that one address gets in 24 hours; `None`: no limit.
    pub per_address: Option<i32>,
}

/// What is to be done with a cold email.
#[derive(Debug)]
pub(super) enum Verdict {
    /// To be sent; what was counted is given back if it is not.
    Send(Option<Charge>),
    /// The address has had enough for now.
    Wait(Duration),
    /// The address wants none.
    Suppressed,
}

impl ColdMail {
    /// Counts the email against its recipient, unless it must not be sent.
    pub(super) async fn judge(&self, connection: &mut PgConnection, recipient: &EmailAddress) -> Result<Verdict> {
        if suppressions::is_there(connection, &self.address_key.suppression(recipient)).await? {
            return Ok(Verdict::Suppressed);
        }
        let Some(limit) = self.per_address else { return Ok(Verdict::Send(None)) };
        let hash = self.address_key.counter(recipient);
        let subject = format!("emails/{}", limits::hex(&hash));
        let asked = Asked { subject, window: WINDOW, limit };
        let counted = limits::charge(connection, std::slice::from_ref(&asked)).await?.pop();
        Ok(match counted {
            Some(Ok(charge)) => Verdict::Send(Some(charge)),
            Some(Err(wait)) => Verdict::Wait(Duration::try_from(wait).unwrap_or_default().max(SHORTEST_WAIT)),
            None => Verdict::Wait(SHORTEST_WAIT),
        })
    }

    /// An email that was counted and is not sent, at least not this time.
    pub(super) async fn give_back(&self, connection: &mut PgConnection, charge: &Charge) -> Result<()> {
        limits::give_back(connection, std::slice::from_ref(charge)).await
    }
}
