//! Charges callers before a change, and settles the charge when it is known what became of it. The counters are in
//! Postgres, so N replicas hold one limit together.

use std::time::Duration;

use super::batch::{Decided, request_key};
use super::counter::Count;
use super::limits::{Counted, Guess};
use super::reading::read;
use super::{App, Error, Result};
use crate::domain::{Command, Operation, Refusal};
use crate::store;
use crate::store::limits::{Asked, Charge};

/// A try counts as wrong until it is known to be right, so a caller who is right many times at once may stand at the
/// limit for a moment: so often, and after so many milliseconds, a guess is charged again before it is refused.
const GUESS_TRIES: usize = 3;
const GUESS_PAUSE: std::ops::Range<u64> = 20..100;

impl App {
    /// Counts one more against somebody, or refuses. `None`: there is no limit.
    pub(super) async fn charge(&self, counted: Counted, identity: &[u8; 32]) -> Result<Option<Charge>> {
        self.charge_for(counted, counted.subject(identity)).await
    }

    async fn charge_for(&self, counted: Counted, subject: String) -> Result<Option<Charge>> {
        let Some(limit) = counted.limit(&self.limits) else { return Ok(None) };
        let asked = Asked { subject, window: counted.window(), limit };
        match self.counter.ask(Count::Charge(asked, 1)).await?.pop() {
            Some(Ok(charge)) => Ok(Some(charge)),
            Some(Err(wait)) => Err(counted.refusal(wait).into()),
            None => Err(Error::Fault),
        }
    }

    /// Counts so many more against somebody, or as many as the limit allows; then the others are refused with that.
    /// `None`: there is no limit.
    pub(super) async fn charge_many(
        &self,
        counted: Counted,
        identity: &[u8; 32],
        times: usize,
    ) -> Result<Option<(Vec<Charge>, Option<Refusal>)>> {
        let Some(limit) = counted.limit(&self.limits) else { return Ok(None) };
        let asked = Asked { subject: counted.subject(identity), window: counted.window(), limit };
        let mut charges = Vec::with_capacity(times);
        let mut refusal = None;
        for outcome in self.counter.ask(Count::Charge(asked, times)).await? {
            match outcome {
                Ok(charge) => charges.push(charge),
                Err(wait) => refusal = Some(counted.refusal(wait)),
            }
        }
        Ok(Some((charges, refusal)))
    }

    /// Takes charges back, before anything that is charged after it. That this fails must not fail what has succeeded.
    pub(super) fn give_back(&self, charges: impl IntoIterator<Item = Charge>) {
        let charges = Vec::from_iter(charges);
        if !charges.is_empty() && self.counter.tell(Count::GiveBack(charges)).is_err() {
            tracing::warn!("a charge could not be given back, it ends with its window");
        }
    }

    /// What a command may be counted as; `None`: it has no such limit.
    pub(super) fn counted(&self, command: &Command) -> Option<Counted> {
        let counted = match &command.operation {
            Operation::CreateInvitation(_) | Operation::OfferMembership(_) | Operation::ResendInvitation { .. } => {
                Counted::Invitation
            }
            Operation::CreateOrganization(_) => Counted::Organization,
            Operation::UpdateOrganization(edit) if edit.touches_protection() => Counted::ProtectionChange,
            _ => return None,
        };
        counted.limit(&self.limits).map(|_| counted)
    }

    /// Counts a change of something that can be changed back at once, against the caller and what is changed. What would
    /// change nothing is let through: it is answered all the same.
    pub(super) async fn charge_change(&self, identity: &[u8; 32], command: &Command) -> Result<Option<Charge>> {
        let is_paced = matches!(command.operation, Operation::UpdateOrganization(_) | Operation::UpdateMember { .. });
        if !is_paced {
            return Ok(None);
        }
        let target = command.operation.subject().name(&command.organization);
        match self.charge_for(Counted::Change, format!("{}/{target}", Counted::Change.subject(identity))).await {
            Err(Error::Refused(refusal)) if self.dry_runs.ask(command.clone()).await?.is_change => Err(refusal.into()),
            Err(Error::Refused(_)) => Ok(None),
            charged => charged,
        }
    }

    /// Gives back what a change was charged, unless it was counted or nobody knows.
    pub(super) fn settle(&self, charge: Option<Charge>, outcome: &Result<Decided>, is_counted: fn(&Decided) -> bool) {
        if !keeps_charge(outcome, is_counted) {
            self.give_back(charge);
        }
    }

    /// Counts a try as wrong before anybody knows what it is, so that tries at once are no way around the limit; and
    /// refuses whoever was wrong too often, right or wrong: else the limit would not slow a search down. A repetition
    /// of what has succeeded is no guess.
    pub(super) async fn charge_guess(
        &self,
        identity: &[u8; 32],
        guess: Guess,
        command: &Command,
    ) -> Result<Option<Charge>> {
        let mut charged = self.charge(Counted::Guess(guess), identity).await;
        for _ in 1..GUESS_TRIES {
            if !matches!(charged, Err(Error::Refused(_))) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(GUESS_PAUSE))).await;
            charged = self.charge(Counted::Guess(guess), identity).await;
        }
        match charged {
            Err(Error::Refused(_)) if self.is_repetition(command).await? => Ok(None),
            charged => charged,
        }
    }

    /// Gives a try back that was not wrong.
    pub(super) fn settle_guess<T>(&self, guess: Guess, charge: Option<Charge>, outcome: Result<T>) -> Result<T> {
        let wrong = match guess {
            Guess::Code => Refusal::CodeNotFound,
            Guess::NotificationCode => Refusal::NotificationCodeNotFound,
            Guess::Account => Refusal::AccountEmailNotFound,
        };
        if !matches!(&outcome, Err(Error::Refused(refusal)) if *refusal == wrong) {
            self.give_back(charge);
        }
        outcome
    }

    /// Whether the same request has succeeded before.
    async fn is_repetition(&self, command: &Command) -> Result<bool> {
        let Some(key) = request_key(command) else { return Ok(false) };
        let remembered = read!(self.reads, connection, store::request_ids::find(&mut connection, &key))?;
        Ok(remembered.is_some_and(|remembered| remembered.is_of(command)))
    }
}

/// Whether a change keeps what it was charged: it was counted, or nobody knows.
pub(super) fn keeps_charge(outcome: &Result<Decided>, is_counted: fn(&Decided) -> bool) -> bool {
    match outcome {
        Ok(decided) => is_counted(decided),
        Err(Error::Unavailable | Error::Fault) => true,
        // somebody was faster, and the name is found out all the same
        Err(Error::Refused(refusal)) => Counted::Organization.is_found_out_by(refusal),
        Err(Error::Overloaded) => false,
    }
}
