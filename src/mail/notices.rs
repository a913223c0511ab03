//! Limits how many notices about its invitations an organization gets at one address.
//!
//! Up to a limit, each notice is an email of its own. Beyond it, one email an hour holds all notices that wait for the
//! address.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Mailer;
use super::cold::{MailLimits, WINDOW};
use super::judge::{Item, Judged, Verdict};
use crate::store::Result;
use crate::store::connection::Own;
use crate::store::limits::{self, Asked, Counted};
use crate::store::outbox::{self, Held};

/// Between two emails that tell several things.
const PAUSE: Duration = Duration::from_hours(1);

impl Mailer {
    /// Charges the addresses of notices that were not charged before, and gathers those that are too many.
    pub(super) async fn judge_notices(&self, database: &mut Own, judged: &mut Vec<Judged>) -> Result<()> {
        let Some(limit) = self.limits.notices else { return Ok(()) };
        let notices = judged.iter_mut().filter(|judged| judged.is_uncharged_notice()).collect::<Vec<_>>();
        let ask = |judged: &&mut Judged| self.limits.of_notices("notices", &judged.item.held, WINDOW, limit);
        let counted = count(database, notices.iter().map(ask).collect()).await?;
        let mut too_many = BTreeMap::<_, Vec<&mut Judged>>::new();
        for (judged, counted) in notices.into_iter().zip(counted) {
            if let Ok(charge) = counted {
                judged.item.charges.push(charge);
            } else {
                let Held { organization, recipient, .. } = &judged.item.held;
                too_many.entry((organization.clone(), recipient.key().to_owned())).or_default().push(judged);
            }
        }
        let mut groups = too_many.into_values().collect::<Vec<_>>();
        let ask = |group: &Vec<&mut Judged>| self.limits.of_notices("gathered", &group[0].item.held, PAUSE, 1);
        let counted = count(database, groups.iter().map(ask).collect()).await?;
        let mut gathering = Vec::new();
        for (group, counted) in groups.iter_mut().zip(counted) {
            match counted {
                Ok(charge) => {
                    group[0].item.charges.push(charge);
                    gathering.push((group[0].item.held.clone(), group[0].is_to_owner()));
                    for judged in group {
                        judged.gather();
                    }
                }
                Err(wait) => {
                    let wait = wait.try_into().unwrap_or(PAUSE);
                    for judged in group {
                        judged.verdict = Verdict::Limited(wait);
                    }
                }
            }
        }
        for (held, is_to_owner) in gathering {
            judged.extend(self.further(database, &held, is_to_owner).await?);
        }
        Ok(())
    }

    /// What else waits for the same address, and is due or was put off for this.
    async fn further(&self, database: &mut Own, first: &Held, is_to_owner: bool) -> Result<Vec<Judged>> {
        let lease = self.server.timeouts.lease;
        let held = database.run(async |c| outbox::gather(c, first, is_to_owner, lease).await).await?;
        let items = held.into_iter().map(|held| Item { held, charges: Vec::new() }).collect();
        let mut judged = self.by_facts(database, items).await?;
        judged.iter_mut().for_each(Judged::gather);
        Ok(judged)
    }
}

impl MailLimits {
    fn of_notices(&self, what: &str, held: &Held, window: Duration, limit: i32) -> Asked {
        let address = self.address_key.counter_of(&held.organization, &held.recipient);
        Asked { subject: format!("{what}/{}", limits::hex(&address)), window, limit }
    }
}

impl Judged {
    fn is_uncharged_notice(&self) -> bool {
        let is_to_be_sent = matches!(self.verdict, Verdict::Send(_));
        is_to_be_sent && self.item.held.kind.is_to_organization() && self.item.charges.is_empty()
    }

    fn is_to_owner(&self) -> bool {
        matches!(&self.verdict, Verdict::Send(known) if known.facts.is_to_owner)
    }

    fn gather(&mut self) {
        self.verdict = match std::mem::replace(&mut self.verdict, Verdict::Lost) {
            Verdict::Send(known) => Verdict::Gather(known),
            other => other,
        };
    }
}

async fn count(database: &mut Own, asked: Vec<Asked>) -> Result<Vec<Counted>> {
    database.run(async |c| limits::charge(c, &asked).await).await
}
