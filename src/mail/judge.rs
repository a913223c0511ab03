//! What is to be done with the emails of a batch, by what is true at that moment.

use std::time::Duration;

use super::cold::Cold;
use super::message::shows_sign_in;
use super::{Mailer, backoff};
use crate::domain::{Answer, EmailAddress, EmailKind, EmailState, Username};
use crate::store::Result;
use crate::store::connection::Own;
use crate::store::limits::Charge;
use crate::store::outbox::{self, Facts, Held, SignIn};

/// An email that a worker holds, and what was charged for it.
#[derive(Debug)]
pub struct Item {
    pub held: Held,
    pub charges: Vec<Charge>,
}

#[derive(Debug)]
pub struct Judged {
    pub item: Item,
    pub verdict: Verdict,
}

#[derive(Debug)]
pub enum Verdict {
    Send(Box<Known>),
    /// In one email with the others of its organization to the same address.
    Gather(Box<Known>),
    /// Not sent by this attempt.
    End(EmailState, Answer),
    /// Not before that time has passed: a newer version has to judge it.
    Wait(Duration),
    /// Not before that time has passed: its recipient has had enough for now.
    Limited(Duration),
    /// It is held no more.
    Lost,
}

/// What an email tells.
#[derive(Debug)]
pub struct Known {
    pub facts: Facts,
    pub sign_in: Option<SignIn>,
}

impl Mailer {
    /// Judges all of them with a few questions to the database, and charges the recipients of cold ones that were not
    /// charged before.
    pub(super) async fn judge(&self, database: &mut Own, items: Vec<Item>) -> Result<Vec<Judged>> {
        let mut judged = self.by_facts(database, items).await?;
        add_sign_ins(database, &mut judged).await?;
        self.judge_cold(database, &mut judged).await?;
        self.judge_notices(database, &mut judged).await?;
        Ok(judged)
    }

    /// Judges each by what it and its invitation are, whatever others do.
    pub(super) async fn by_facts(&self, database: &mut Own, items: Vec<Item>) -> Result<Vec<Judged>> {
        let held = items.iter().map(|item| &item.held).collect::<Vec<_>>();
        let facts = database.run(async |c| outbox::facts(c, &held).await).await?;
        let judge = |(mut item, facts): (Item, Option<Facts>)| {
            let Some(facts) = facts else { return Judged { item, verdict: Verdict::Lost } };
            if item.held.kind.is_to_organization() && !facts.is_to_owner {
                // it may have another one than when the email was written
                // as it would stand in the outbox
                let present = &facts.notification_email;
                item.held.recipient = EmailAddress::stored(present.wire(), present.key().to_owned());
            }
            let verdict = self.by_itself(&item.held, facts);
            Judged { item, verdict }
        };
        Ok(items.into_iter().zip(facts).map(judge).collect())
    }

    fn by_itself(&self, held: &Held, facts: Facts) -> Verdict {
        if backoff::is_spent(held.attempt) {
            // no attempt of it ever came to an end
            return Verdict::End(EmailState::Failed, Answer::Unbuildable);
        }
        if !facts.are_known() {
            return Verdict::Wait(backoff::NEWER_WAIT);
        }
        match self.writer.check(held, &facts) {
            Ok(_) => Verdict::Send(Box::new(Known { facts, sign_in: None })),
            Err((state, answer)) => Verdict::End(state, answer),
        }
    }

    async fn judge_cold(&self, database: &mut Own, judged: &mut [Judged]) -> Result<()> {
        let mut cold = judged.iter_mut().filter(|judged| judged.is_cold()).collect::<Vec<_>>();
        let suppressed = self.limits.suppressed(database, &recipients(&cold)).await?;
        for (judged, _) in cold.iter_mut().zip(suppressed).filter(|(_, is_suppressed)| *is_suppressed) {
            judged.verdict = Verdict::End(EmailState::Dropped, Answer::Suppressed);
        }
        cold.retain(|judged| judged.is_cold() && judged.item.charges.is_empty());
        let asked = cold.iter().filter_map(|judged| judged.as_cold()).collect::<Vec<_>>();
        let outcomes = self.limits.charge(database, &asked).await?;
        for (judged, outcome) in cold.into_iter().zip(outcomes) {
            match outcome {
                Ok(charges) => judged.item.charges = charges,
                // the owners get all that this address does not, but for its code
                Err(_) if judged.is_unproven() && judged.item.held.kind != EmailKind::NotificationEmailCode => {
                    judged.verdict = Verdict::End(EmailState::Dropped, Answer::Unproven);
                }
                Err(wait) => judged.verdict = Verdict::Limited(wait),
            }
        }
        Ok(())
    }
}

impl Judged {
    /// What is known, if the email shows where the account signs in.
    fn with_sign_in(&mut self) -> Option<&mut Known> {
        let is_shown = shows_sign_in(self.item.held.kind);
        if let Verdict::Send(known) = &mut self.verdict { is_shown.then_some(known) } else { None }
    }

    fn is_cold(&self) -> bool {
        self.as_cold().is_some()
    }

    /// As it is counted, if it is to be sent to somebody who need not know the organization.
    fn as_cold(&self) -> Option<Cold<'_>> {
        let Verdict::Send(known) = &self.verdict else { return None };
        let is_unsolicited = known.facts.invitation.as_ref().is_some_and(|invitation| invitation.is_unsolicited);
        let Held { kind, organization, recipient, .. } = &self.item.held;
        let is_unproven = self.is_unproven();
        let is_cold = kind.is_cold(is_unsolicited) || is_unproven;
        is_cold.then_some(Cold { organization, recipient, is_unproven, now: known.facts.now })
    }

    /// Whether it is to be sent to a notification address of which nobody has shown whose it is.
    fn is_unproven(&self) -> bool {
        let Verdict::Send(known) = &self.verdict else { return false };
        let kind = self.item.held.kind;
        let is_to_address = kind.is_to_organization() && !known.facts.is_to_owner;
        known.facts.missing_proof.is_some() && (is_to_address || kind == EmailKind::NotificationEmailCode)
    }
}

impl Known {
    fn username(&self) -> Option<&Username> {
        self.facts.invitation.as_ref()?.username.as_ref()
    }
}

fn recipients<'a>(judged: &'a [&mut Judged]) -> Vec<&'a EmailAddress> {
    judged.iter().map(|judged| &judged.item.held.recipient).collect()
}

/// Where the account signs in, for the emails that show it.
async fn add_sign_ins(database: &mut Own, judged: &mut [Judged]) -> Result<()> {
    let mut shown = judged.iter_mut().filter_map(Judged::with_sign_in).collect::<Vec<_>>();
    let usernames = shown.iter().filter_map(|known| known.username()).collect::<Vec<_>>();
    let sign_ins = database.run(async |c| outbox::sign_ins(c, &usernames).await).await?;
    for known in &mut shown {
        known.sign_in = known.username().and_then(|username| sign_ins.get(username)).cloned();
    }
    Ok(())
}
