//! What a caller may do only so often. The counters are in Postgres, so N replicas hold one limit together.

use super::batch::request_key;
use super::{App, Result};
use crate::domain::{Actor, Command, Refusal};
use crate::store;

/// How often something may go wrong for one caller.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wrong codes of one caller in 15 minutes; `None`: no limit.
    pub wrong_codes: Option<i32>,
    /// Pairs of username and address that do not belong together, of one caller in 15 minutes; `None`: no limit.
    pub wrong_accounts: Option<i32>,
}

/// The window in which wrong tries are counted.
const WINDOW_SECONDS: i32 = 15 * 60;

/// What can be tried wrongly too often.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guess {
    Code,
    Account,
}

impl App {
    /// Refuses a caller who has guessed too often, right or wrong: else the limit would not slow a search down. A
    /// repetition of what has succeeded is no guess.
    pub(super) async fn check_guesses(&self, caller: &Actor, guess: Guess, command: &Command) -> Result<()> {
        let Some(limit) = self.limit(guess) else { return Ok(()) };
        let mut connection = self.reads.acquire().await?;
        let used = store::limits::used(&mut connection, &subject(caller, guess), WINDOW_SECONDS).await?;
        if used.count < limit {
            return Ok(());
        }
        if let Some(key) = request_key(command) {
            let remembered = store::request_ids::load(&mut connection, std::slice::from_ref(&key)).await?;
            if remembered.get(&key).is_some_and(|remembered| remembered.is_of(command)) {
                return Ok(());
            }
        }
        let wait = used.until - used.now;
        Err(match guess {
            Guess::Code => Refusal::TooManyWrongCodes { wait },
            Guess::Account => Refusal::TooManyWrongAccounts { wait },
        }
        .into())
    }

    /// Counts a wrong try.
    pub(super) async fn charge_guess(&self, caller: &Actor, guess: Guess) -> Result<()> {
        if self.limit(guess).is_none() {
            return Ok(());
        }
        let mut connection = self.reads.acquire().await?;
        Ok(store::limits::charge(&mut connection, &subject(caller, guess), WINDOW_SECONDS).await?)
    }

    fn limit(&self, guess: Guess) -> Option<i32> {
        match guess {
            Guess::Code => self.limits.wrong_codes,
            Guess::Account => self.limits.wrong_accounts,
        }
    }
}

fn subject(caller: &Actor, guess: Guess) -> String {
    match guess {
        Guess::Code => format!("wrong-code/{caller}"),
        Guess::Account => format!("wrong-account/{caller}"),
    }
}
