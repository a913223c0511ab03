//! How many calls are carried out at a time, and how many of them for one caller. A caller's surplus waits behind their
//! own calls, and callers take turns: whoever asks for much delays nobody but themselves.

mod line;
#[cfg(test)]
mod tests;
mod who;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use line::{Line, Turn};
use tokio::time::{Instant, timeout};

pub(super) use who::Who;

use crate::app::Error;
use crate::domain::Method;

/// How long a call waits for its turn: whoever is refused hears it within a quarter of a second.
const PATIENCE: Duration = Duration::from_millis(200);

/// Of the calls that are carried out at a time, what is one caller's while others are there.
const SHARE: usize = 8;

/// So many times what is carried out at a time may wait.
const WAITING: usize = 1;

/// What a call weighs by the processor time that it takes at most, in the service and in Postgres together: a page of 100 as
/// much as 16 other reads (`benches/throughput`), and so does looking through an account's 100 organizations. Twice that, so
/// that one caller's share is one of them at a time (`benches/fairness`).
fn weight(method: Method) -> usize {
    if method.is_list() || method == Method::DeleteAccount { 32 } else { 1 }
}

/// Calls of up to 1,000 rows take as long as hundreds of others. They are carried out beside those, a few at a time, and
/// take turns among themselves: of one caller, one while others are there.
fn is_bulk(method: Method) -> bool {
    matches!(method, Method::BatchCreateInvitations | Method::BatchGetInvitations | Method::RevokeInvitations)
}

/// How many of them are carried out at a time: their changes go through one connection.
const BULK: usize = 4;
/// How many more wait, each with up to 1 MiB, and for how long.
const BULK_WAITING: usize = 16;
const BULK_PATIENCE: Duration = Duration::from_secs(2);

/// The calls that are carried out and those that wait. Clones share them.
#[derive(Clone)]
pub struct Shares {
    calls: Class,
    bulk: Class,
}

/// Calls that share what is carried out at a time.
#[derive(Clone)]
struct Class {
    line: Arc<Mutex<Line>>,
    /// The most that waits.
    max_waiting: usize,
    patience: Duration,
}

impl Class {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shares {
    /// At most `max` calls at a time; `share` of them are one caller's, an eighth unless it is given.
    pub fn new(max: usize, share: Option<usize>) -> Self {
        let share = share.unwrap_or(max / SHARE).clamp(1, max);
        let line = |max, share| Arc::new(Mutex::new(Line::new(max, share)));
        Self {
            calls: Class { line: line(max, share), max_waiting: max * WAITING, patience: PATIENCE },
            bulk: Class { line: line(BULK, 1), max_waiting: BULK_WAITING, patience: BULK_PATIENCE },
        }
    }

    /// Waits until it is the caller's turn.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`]: it was not within 200 ms, for many rows 2 s, or too many wait.
    pub(super) async fn enter(&self, who: Who, method: Method) -> Result<Place, Error> {
        let class = if is_bulk(method) { &self.bulk } else { &self.calls };
        let turn = class.line().join(Arc::new(who), weight(method), Instant::now(), class.max_waiting);
        let turn = turn.ok_or(Error::Overloaded)?;
        let mut place = Place { line: Arc::clone(&class.line), turn };
        match timeout(class.patience, place.turn.come()).await {
            Ok(true) => Ok(place),
            _ => Err(Error::Overloaded),
        }
    }

    /// Whether as many wait as may.
    pub(super) fn is_full(&self) -> bool {
        self.calls.line().waiting() >= self.calls.max_waiting
    }

    /// Whether somebody would be let in while as many wait as may.
    pub(super) fn has_room(&self, who: &Who) -> bool {
        self.calls.line().longest(who).is_some()
    }
}

impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shares").finish_non_exhaustive()
    }
}

/// The place of one call, in the line or among those that are carried out, until it is dropped.
pub(super) struct Place {
    line: Arc<Mutex<Line>>,
    turn: Turn,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).leave(&mut self.turn, Instant::now());
    }
}

/// Keeps the place of a call until it is answered: handlers drop their request before.
#[derive(Clone, Default)]
pub(super) struct Seat(Arc<OnceLock<Place>>);

impl Seat {
    pub(super) fn keep(&self, place: Place) {
        self.0.set(place).ok();
    }
}
