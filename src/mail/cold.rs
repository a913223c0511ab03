//! Email to people who need not know the organization: how much of it an address gets, and that some get none.
//!
//! Decided when an email is sent, over all organizations together. Whoever invites learns nothing of what others send:
//! an email over the limit waits as if nobody had looked at it.

use std::time::Duration;

use crate::domain::{AddressKey, EmailAddress};
use crate::store::connection::Own;
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

impl ColdMail {
    /// Which of these addresses want none, in the order asked.
    pub(super) async fn suppressed(&self, database: &mut Own, recipients: &[&EmailAddress]) -> Result<Vec<bool>> {
        let hashes = recipients.iter().flat_map(|recipient| self.address_key.suppressions(recipient)).collect::<Vec<_>>();
        let found = database.run(async |c| suppressions::are_there(c, &hashes).await).await?;
        Ok(found.chunks(2).map(|of_one| of_one.contains(&true)).collect())
    }

    /// Counts an email against each address, or says how long it has to wait; in the order asked.
    pub(super) async fn charge(
        &self,
        database: &mut Own,
        recipients: &[&EmailAddress],
    ) -> Result<Vec<std::result::Result<Option<Charge>, Duration>>> {
        let Some(limit) = self.per_address else { return Ok(recipients.iter().map(|_| Ok(None)).collect()) };
        let ask = |recipient: &&EmailAddress| {
            let subject = format!("emails/{}", limits::hex(&self.address_key.counter(recipient)));
            Asked { subject, window: WINDOW, limit }
        };
        let asked = recipients.iter().map(ask).collect::<Vec<_>>();
        let counted = database.run(async |c| limits::charge(c, &asked).await).await?;
        let wait = |wait: time::Duration| wait.try_into().unwrap_or(SHORTEST_WAIT).max(SHORTEST_WAIT);
        Ok(counted.into_iter().map(|charge| charge.map(Some).map_err(wait)).collect())
    }
}
