//! What a caller or an identity may do only so often. The counters are in Postgres, so N replicas hold one limit
//! together; each charge is a statement of its own, before the transaction of the change.

use std::time::Duration;

use super::batch::{Decided, request_key};
use super::{App, Error, Result};
use crate::domain::{Actor, Caller, Command, DAY, Operation, Refusal};
use crate::store;
use crate::store::accounts::{self, identity_hash};
use crate::store::limits::Charge;

/// How often; `None`: no limit.
#[derive(Clone, Copy, Default, Debug)]
pub struct Limits {
    /// Wrong codes of one caller in 15 minutes.
    pub wrong_codes: Option<i32>,
    /// Pairs of username and address that do not belong together, of one caller in 15 minutes.
    pub wrong_accounts: Option<i32>,
    /// Invitations of one caller in 24 hours, over all organizations.
    pub invitations: Option<i32>,
    /// Organizations that one identity founds in 24 hours.
    pub organizations: Option<i32>,
    /// Tries of one identity to create its account in 24 hours, failed ones too.
    pub account_attempts: Option<i32>,
    /// Changes of policies and notification addresses by one caller in 24 hours, over all organizations.
    pub protection_changes: Option<i32>,
}

/// What can be tried wrongly too often.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guess {
    Code,
    Account,
}

/// Something that is counted against somebody.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counted {
    Guess(Guess),
    Invitation,
    Organization,
    AccountAttempt,
    ProtectionChange,
}

/// The window in which wrong tries are counted.
const GUESSES: Duration = Duration::from_mins(15);
/// The window of everything else.
const A_DAY: Duration = Duration::from_hours(24);
/// A try counts as wrong until it is known to be right, so a caller who is right many times at once may stand at the
/// limit for a moment: so often, and after so many milliseconds, a guess is charged again before it is refused.
const GUESS_TRIES: usize = 3;
const GUESS_PAUSE: std::ops::Range<u64> = 20..100;

impl Counted {
    fn subject(self, who: &str) -> String {
        match self {
            Self::Guess(Guess::Code) => format!("wrong-code/{who}"),
            Self::Guess(Guess::Account) => format!("wrong-account/{who}"),
            Self::Invitation => format!("invitation/{who}"),
            Self::Organization => format!("organization/{who}"),
            Self::AccountAttempt => format!("account-attempt/{who}"),
            Self::ProtectionChange => format!("protection-change/{who}"),
        }
    }

    fn window(self) -> Duration {
        match self {
            Self::Guess(_) => GUESSES,
            Self::Invitation | Self::Organization | Self::AccountAttempt | Self::ProtectionChange => A_DAY,
        }
    }

    fn limit(self, limits: &Limits) -> Option<i32> {
        match self {
            Self::Guess(Guess::Code) => limits.wrong_codes,
            Self::Guess(Guess::Account) => limits.wrong_accounts,
            Self::Invitation => limits.invitations,
            Self::Organization => limits.organizations,
            Self::AccountAttempt => limits.account_attempts,
            Self::ProtectionChange => limits.protection_changes,
        }
    }

    fn refusal(self, wait: time::Duration) -> Refusal {
        match self {
            Self::Guess(Guess::Code) => Refusal::TooManyWrongCodes { wait },
            Self::Guess(Guess::Account) => Refusal::TooManyWrongAccounts { wait },
            Self::Invitation => Refusal::TooManyInvitations { wait },
            Self::Organization => Refusal::TooManyOrganizations { wait },
            Self::AccountAttempt => Refusal::TooManyAccountAttempts { wait },
            Self::ProtectionChange => Refusal::TooManyProtectionChanges { wait },
        }
    }
}

impl App {
    /// Counts one more against somebody, or refuses. `None`: there is no limit.
    pub(super) async fn charge(&self, counted: Counted, who: &str) -> Result<Option<Charge>> {
        let Some(limit) = counted.limit(&self.limits) else { return Ok(None) };
        let (subject, window) = (counted.subject(who), counted.window());
        let mut connection = self.reads.acquire().await?;
        if let Some(charge) = store::limits::charge(&mut connection, &subject, window, limit).await? {
            return Ok(Some(charge));
        }
        let found = store::limits::counted(&mut connection, &subject).await?;
        let length = window.try_into().unwrap_or(DAY);
        let wait = found.map_or(time::Duration::ZERO, |(counted, now)| counted.wait(now, length, limit));
        // what was given back meanwhile must not read as "at once"
        Err(counted.refusal(wait.max(time::Duration::SECOND)).into())
    }

    /// Takes a charge back. That this fails must not fail what has succeeded.
    pub(super) async fn give_back(&self, counted: Counted, charge: Option<Charge>) {
        let Some(charge) = charge else { return };
        let given_back = async {
            let mut connection = self.reads.acquire().await?;
            Ok::<_, Error>(store::limits::give_back(&mut connection, &charge, counted.window()).await?)
        };
        if let Err(error) = given_back.await {
            tracing::warn!(?error, "a charge could not be given back, it ends with its window");
        }
    }

    /// What a command may be counted as, and against whom; `None`: it has no such limit.
    pub(super) async fn counted(&self, command: &Command) -> Result<Option<(Counted, String)>> {
        let counted = match &command.operation {
            Operation::CreateInvitation(_) | Operation::OfferMembership(_) | Operation::ResendInvitation { .. } => {
                Counted::Invitation
            }
            Operation::CreateOrganization(_) => Counted::Organization,
            Operation::UpdateOrganization(edit) if edit.touches_protection() => Counted::ProtectionChange,
            _ => return Ok(None),
        };
        let Some(caller) = command.caller.as_ref().filter(|_| counted.limit(&self.limits).is_some()) else {
            return Ok(None);
        };
        let who = match counted {
            // another account of the same person is no way around it
            Counted::Organization => store::limits::hex(&self.identity_of(caller).await?),
            _ => caller.actor().to_string(),
        };
        Ok(Some((counted, who)))
    }

    /// The hash of who is behind a caller.
    async fn identity_of(&self, caller: &Caller) -> Result<Vec<u8>> {
        match caller {
            Caller::Service(service) => {
                Ok(identity_hash(&service.issuer, std::slice::from_ref(&service.subject)).to_vec())
            }
            Caller::Account(username) => {
                let mut connection = self.reads.acquire().await?;
                let identity = accounts::identity_of(&mut connection, username).await?;
                Ok(identity.ok_or(Refusal::AccountRequired)?)
            }
        }
    }

    /// Gives back what a change was charged, unless it was counted or nobody knows.
    pub(super) async fn settle(&self, counted: Option<Counted>, charge: Option<Charge>, outcome: &Result<Decided>) {
        let keeps = match outcome {
            Ok(decided) => decided.is_counted,
            Err(Error::Unavailable | Error::Fault) => true,
            Err(Error::Refused(_) | Error::Overloaded) => false,
        };
        if let (Some(counted), false) = (counted, keeps) {
            self.give_back(counted, charge).await;
        }
    }

    /// Counts a try to create an account, whatever becomes of it.
    pub(super) async fn charge_account_attempt(&self, identity: &[u8; 32]) -> Result<Option<Charge>> {
        self.charge(Counted::AccountAttempt, &store::limits::hex(identity)).await
    }

    /// Counts a try as wrong before anybody knows what it is, so that tries at once are no way around the limit; and
    /// refuses whoever was wrong too often, right or wrong: else the limit would not slow a search down. A repetition
    /// of what has succeeded is no guess.
    pub(super) async fn charge_guess(&self, caller: &Actor, guess: Guess, command: &Command) -> Result<Option<Charge>> {
        let who = caller.to_string();
        let mut charged = self.charge(Counted::Guess(guess), &who).await;
        for _ in 1..GUESS_TRIES {
            if !matches!(charged, Err(Error::Refused(_))) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(GUESS_PAUSE))).await;
            charged = self.charge(Counted::Guess(guess), &who).await;
        }
        match charged {
            Err(Error::Refused(_)) if self.is_repetition(command).await? => Ok(None),
            charged => charged,
        }
    }

    /// Gives a try back that was not wrong.
    pub(super) async fn settle_guess<T>(&self, guess: Guess, charge: Option<Charge>, outcome: Result<T>) -> Result<T> {
        let wrong = match guess {
            Guess::Code => Refusal::CodeNotFound,
            Guess::Account => Refusal::AccountEmailNotFound,
        };
        if !matches!(&outcome, Err(Error::Refused(refusal)) if *refusal == wrong) {
            self.give_back(Counted::Guess(guess), charge).await;
        }
        outcome
    }

    /// Whether the same request has succeeded before.
    async fn is_repetition(&self, command: &Command) -> Result<bool> {
        let Some(key) = request_key(command) else { return Ok(false) };
        let mut connection = self.reads.acquire().await?;
        let remembered = store::request_ids::load(&mut connection, std::slice::from_ref(&key)).await?;
        Ok(remembered.get(&key).is_some_and(|remembered| remembered.is_of(command)))
    }
}
