//! Email to people who need not know the organization: how much of it an address gets, and that some get none.
//!
//! Decided when an email is sent, over all organizations together. Whoever invites sees that an email waits for its
//! recipient's limit, and not why: for what the organization itself has sent, for what others have, or for a day on which the
//! mailbox gets fewer ([`of_day`]).

use std::time::Duration;

use crate::domain::{AddressKey, DAY, EmailAddress, OrganizationId, Timestamp, of_day, room};
use crate::store::connection::Own;
use crate::store::limits::{self, Asked, Charge, Counted};
use crate::store::{Result, suppressions};

/// The window of the limits.
const WINDOW: Duration = Duration::from_hours(24);
/// Until an email that waits is looked at again, at least: others may have been given back meanwhile.
const SHORTEST_WAIT: Duration = Duration::from_mins(1);

/// What holds for cold email.
#[derive(Clone, Debug)]
pub struct ColdMail {
    pub address_key: AddressKey,
    /// Emails that one mailbox gets in 24 hours; `None`: no limit.
    pub per_address: Option<i32>,
    /// Those of them that are of one organization.
    pub per_organization: Option<i32>,
}

/// A cold email, as far as it is counted.
#[derive(Clone, Copy)]
pub(super) struct Cold<'a> {
    pub organization: &'a OrganizationId,
    pub recipient: &'a EmailAddress,
    /// The database's clock.
    pub now: Timestamp,
}

/// What an email was charged, or how long it waits.
pub(super) type Charged = std::result::Result<Vec<Charge>, Duration>;

impl ColdMail {
    /// Which of these addresses want none, in the order asked.
    pub(super) async fn suppressed(&self, database: &mut Own, recipients: &[&EmailAddress]) -> Result<Vec<bool>> {
        let hashes =
            recipients.iter().flat_map(|recipient| self.address_key.suppressions(recipient)).collect::<Vec<_>>();
        let found = database.run(async |c| suppressions::are_there(c, &hashes).await).await?;
        Ok(found.chunks(2).map(|of_one| of_one.contains(&true)).collect())
    }

    /// Counts each email against its organization and its mailbox, or says how long it has to wait; in the order asked.
    pub(super) async fn charge(&self, database: &mut Own, emails: &[Cold<'_>]) -> Result<Vec<Charged>> {
        let mut charged = emails.iter().map(|_| Ok(Vec::new())).collect::<Vec<Charged>>();
        if let Some(limit) = self.per_organization {
            let asked =
                emails.iter().map(|email| Asked { subject: self.of_organization(*email), window: WINDOW, limit });
            add(&mut charged, (0..).zip(count(database, asked.collect()).await?));
        }
        let Some(limit) = self.per_address else { return Ok(charged) };
        let nths = self.nths(database, emails).await?;
        let places = (0..emails.len()).filter(|place| charged[*place].is_ok()).collect::<Vec<_>>();
        let ask = |place: &usize| {
            let email = emails[*place];
            let day =
                of_day(limit, self.address_key.day(email.recipient, email.now.unix_timestamp().div_euclid(86_400)));
            let subject = format!("emails/{}", limits::hex(&self.address_key.counter(email.recipient)));
            Asked { subject, window: WINDOW, limit: room(day, self.per_organization, nths[*place]) }
        };
        let counted = count(database, places.iter().map(ask).collect()).await?;
        let refused = places.iter().zip(&counted).filter(|(_, counted)| counted.is_err());
        let given_back = refused.flat_map(|(place, _)| charged[*place].iter().flatten().cloned()).collect::<Vec<_>>();
        database.run(async |c| limits::give_back(c, &given_back).await).await?;
        add(&mut charged, places.into_iter().zip(counted));
        Ok(charged)
    }

    /// Which of its organization's emails to that mailbox in these 24 hours each is: 1, 2, …
    async fn nths(&self, database: &mut Own, emails: &[Cold<'_>]) -> Result<Vec<i32>> {
        let Some(most) = self.per_organization else { return Ok(vec![1; emails.len()]) };
        let subjects = emails.iter().map(|email| self.of_organization(*email)).collect::<Vec<_>>();
        let counters = database.run(async |c| limits::counted(c, &subjects).await).await?;
        let nth = |subject: &String| {
            let Some((counter, now)) = counters.get(subject) else { return 1 };
            // one more is allowed from the limit on that is above what was counted
            (1..most).find(|used| counter.wait(*now, DAY, used + 1).is_zero()).unwrap_or(most)
        };
        Ok(subjects.iter().map(nth).collect())
    }

    fn of_organization(&self, email: Cold<'_>) -> String {
        format!("emails-of/{}", limits::hex(&self.address_key.counter_of(email.organization, email.recipient)))
    }
}

async fn count(database: &mut Own, asked: Vec<Asked>) -> Result<Vec<Counted>> {
    database.run(async |c| limits::charge(c, &asked).await).await
}

/// Adds what was counted to what the emails at these places were charged before.
fn add(charged: &mut [Charged], counted: impl Iterator<Item = (usize, Counted)>) {
    for (place, counted) in counted {
        match (&mut charged[place], counted) {
            (Ok(charges), Ok(charge)) => charges.push(charge),
            (before, Err(wait)) => *before = Err(wait.try_into().unwrap_or(SHORTEST_WAIT).max(SHORTEST_WAIT)),
            (Err(_), Ok(_)) => {}
        }
    }
}
