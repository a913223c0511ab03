//! Email to people who need not know the organization: how much of it an address gets, and that some get none.
//!
//! Decided when an email is sent, over all organizations together. Whoever invites sees that an email waits for its
//! recipient's limit, and not why: for what the organization itself has sent, for what others have, or for a day on which the
//! mailbox gets fewer ([`of_day`]).

use std::time::Duration;

use crate::domain::{AddressKey, DAY, EmailAddress, OrganizationId, Timestamp, of_day, room};
use crate::store::connection::Own;
use crate::store::limits::{self, Asked, Charge};
use crate::store::{Result, suppressions};

/// The window of the limits.
pub(super) const WINDOW: Duration = Duration::from_hours(24);
/// Until an email that waits is looked at again, at least: others may have been given back meanwhile.
const SHORTEST_WAIT: Duration = Duration::from_mins(1);

/// How much email addresses get.
#[derive(Clone, Debug)]
pub struct MailLimits {
    pub address_key: AddressKey,
    /// Cold emails that one mailbox gets in 24 hours; `None`: no limit.
    pub per_address: Option<i32>,
    /// Those of them that are of one organization.
    pub per_organization: Option<i32>,
    /// Emails that the notification address of one organization gets in 24 hours while nobody has shown whose it is; `None`:
    /// no limit.
    pub unproven: Option<i32>,
    /// Notices of one organization that an address gets one by one in 24 hours; further ones are gathered. `None`: no limit.
    pub notices: Option<i32>,
}

/// A cold email, as far as it is counted.
#[derive(Clone, Copy)]
pub(super) struct Cold<'a> {
    pub organization: &'a OrganizationId,
    pub recipient: &'a EmailAddress,
    /// It goes to a notification address of which nobody has shown whose it is.
    pub is_unproven: bool,
    /// The database's clock.
    pub now: Timestamp,
}

/// What an email was charged, or how long it waits.
pub(super) type Charged = std::result::Result<Vec<Charge>, Duration>;

impl MailLimits {
    /// Which of these addresses want none, in the order asked.
    pub(super) async fn suppressed(&self, database: &mut Own, recipients: &[&EmailAddress]) -> Result<Vec<bool>> {
        let hashes =
            recipients.iter().flat_map(|recipient| self.address_key.suppressions(recipient)).collect::<Vec<_>>();
        let found = database.run(async |c| suppressions::are_there(c, &hashes).await).await?;
        Ok(found.chunks(2).map(|of_one| of_one.contains(&true)).collect())
    }

    /// Counts each email against all that limits it, or says how long it has to wait; in the order asked.
    pub(super) async fn charge(&self, database: &mut Own, emails: &[Cold<'_>]) -> Result<Vec<Charged>> {
        let mut charged = emails.iter().map(|_| Ok(Vec::new())).collect::<Vec<Charged>>();
        if let Some(limit) = self.unproven {
            let unproven = (0..).zip(emails).filter(|(_, email)| email.is_unproven);
            let ask = |email: &Cold<'_>| Asked { subject: self.of_unproven(*email), window: WINDOW, limit };
            count(database, &mut charged, unproven.map(|(place, email)| (place, ask(email))).collect()).await?;
        }
        if let Some(limit) = self.per_organization {
            let ask = |email: &Cold<'_>| Asked { subject: self.of_organization(*email), window: WINDOW, limit };
            count(database, &mut charged, (0..).zip(emails.iter().map(ask)).collect()).await?;
        }
        let Some(limit) = self.per_address else { return Ok(charged) };
        let nths = self.nths(database, emails).await?;
        let ask = |(email, nth): (&Cold<'_>, i32)| {
            let day =
                of_day(limit, self.address_key.day(email.recipient, email.now.unix_timestamp().div_euclid(86_400)));
            let subject = format!("emails/{}", limits::hex(&self.address_key.counter(email.recipient)));
            Asked { subject, window: WINDOW, limit: room(day, self.per_organization, nth) }
        };
        count(database, &mut charged, (0..).zip(emails.iter().zip(nths).map(ask)).collect()).await?;
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

    fn of_unproven(&self, email: Cold<'_>) -> String {
        format!("unproven/{}", limits::hex(&self.address_key.counter_of(email.organization, email.recipient)))
    }
}

/// Counts the emails at these places once more, unless they have to wait by now; whatever was counted of one that has to
/// is given back.
async fn count(database: &mut Own, charged: &mut [Charged], mut asked: Vec<(usize, Asked)>) -> Result<()> {
    asked.retain(|(place, _)| charged[*place].is_ok());
    let (places, asked) = asked.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    let counted = database.run(async |c| limits::charge(c, &asked).await).await?;
    let mut given_back = Vec::new();
    for (place, counted) in places.into_iter().zip(counted) {
        match (&mut charged[place], counted) {
            (Ok(before), Ok(charge)) => before.push(charge),
            (Ok(before), Err(wait)) => {
                given_back.append(before);
                charged[place] = Err(wait.try_into().unwrap_or(SHORTEST_WAIT).max(SHORTEST_WAIT));
            }
            (Err(_), _) => {}
        }
    }
    database.run(async |c| limits::give_back(c, &given_back).await).await
}
