//! Closes, throws away and erases what is over. Every replica sweeps; no answer ever depends on it.
//!
//! Each step has turns of its own, so none keeps another one from its turn, and a turn goes on until nothing is left.
//! Whatever a step reads or throws away itself goes over one connection, in rounds that take turns in it. After a round
//! that connection rests for as long as the round took: of a backlog callers feel one busy connection for half of the
//! time.
//!
//! Replicas do not know of each other. They work on different rows because each takes parts of the queue at random;
//! where two meet, one finds less to do.

mod closing;
mod erasing;
mod old;
mod waiting;

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::PgConnection;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::batch::Decided;
use super::{App, Error, Result};
use crate::domain::Command;
use crate::store;
pub use crate::store::retention::Old;

/// How long a command of the sweep may take: an organization whose lock somebody holds costs no more than that.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest rest after a round.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// Nobody may ask for a request id any more after this time.
const REQUEST_ID_AGE: Duration = Duration::from_hours(24);
/// The longest window is a day: what was counted at the end of one is a day old then.
const LIMIT_AGE: Duration = Duration::from_hours(48);
/// A deletion is not erased before whatever was decided earlier is committed.
const SHORTEST_DELAY: Duration = Duration::from_mins(10);

/// How long things are kept; `None`: for ever.
#[derive(Clone, Copy, Default, Debug)]
pub struct Retention {
    /// Emails after they were sent, given up or dropped.
    pub emails: Option<Duration>,
    /// The addresses of invitations after their end.
    pub addresses: Option<Duration>,
    /// Invitations after their end.
    pub invitations: Option<Duration>,
    pub events: Option<Duration>,
    /// From the deletion of an account until its addresses are erased everywhere.
    pub erasure_delay: Duration,
}

impl Retention {
    /// From which age on something goes. Invitations lose their addresses before they go themselves.
    fn age(&self, old: Old) -> Option<Duration> {
        match old {
            Old::RequestIds | Old::AccountRequestIds => Some(REQUEST_ID_AGE),
            Old::Limits => Some(LIMIT_AGE),
            Old::Emails => self.emails,
            Old::Events => self.events,
            Old::Addresses => self.addresses.into_iter().chain(self.invitations).min(),
            Old::Invitations => self.invitations,
        }
    }
}

/// What is swept by itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    /// Overdue invitations are closed, and pending changes that are due take effect.
    Expiries,
    /// Invitations are prolonged whose emails have to wait.
    Waits,
    /// Deleted accounts leave what they have not left yet.
    Deletions,
    /// Deleted accounts are erased from what stays.
    Erasures,
    Old(Old),
}

impl Step {
    pub const ALL: [Self; 11] = [
        Self::Expiries,
        Self::Waits,
        Self::Deletions,
        Self::Erasures,
        Self::Old(Old::RequestIds),
        Self::Old(Old::AccountRequestIds),
        Self::Old(Old::Limits),
        Self::Old(Old::Emails),
        Self::Old(Old::Events),
        Self::Old(Old::Addresses),
        Self::Old(Old::Invitations),
    ];

    /// In the log and as a label of metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expiries => "expiries",
            Self::Waits => "waits",
            Self::Deletions => "deletions",
            Self::Erasures => "erasures",
            Self::Old(Old::RequestIds) => "request_ids",
            Self::Old(Old::AccountRequestIds) => "account_request_ids",
            Self::Old(Old::Limits) => "limits",
            Self::Old(Old::Emails) => "emails",
            Self::Old(Old::Events) => "events",
            Self::Old(Old::Addresses) => "invitation_addresses",
            Self::Old(Old::Invitations) => "invitations",
        }
    }
}

/// What a turn has done. It is counted while it goes on, and logged at its end.
#[derive(Debug)]
pub struct Swept {
    step: Step,
    begin: Instant,
    pub rounds: u32,
    /// Closed, thrown away, erased or left.
    pub rows: u64,
    /// Rounds or commands that came to nothing; the next turn tries again.
    pub failures: u32,
}

impl Swept {
    fn new(step: Step) -> Self {
        Self { step, begin: Instant::now(), rounds: 0, rows: 0, failures: 0 }
    }

    fn round(&mut self, rows: u64) {
        self.rounds += 1;
        self.rows += rows;
        metrics::counter!("invitations_swept_rows_total", "step" => self.step.name()).increment(rows);
    }

    fn fail(&mut self, error: &dyn std::fmt::Debug) {
        self.failures += 1;
        tracing::warn!(step = self.step.name(), ?error, "a part of the sweep came to nothing, it is tried again");
        metrics::counter!("invitations_sweep_failures_total", "step" => self.step.name()).increment(1);
    }
}

impl Drop for Swept {
    fn drop(&mut self) {
        let Self { step, begin, rounds, rows, failures } = self;
        let duration_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        if *rows > 0 {
            tracing::info!(step = step.name(), rows, rounds, failures, duration_ms, "swept");
        }
    }
}

/// Sweeps until it is told to stop.
#[derive(Debug)]
pub struct Sweeper {
    pub app: App,
    /// From the end of one turn of a step to the beginning of its next.
    pub interval: Duration,
    pub retention: Retention,
}

impl Sweeper {
    pub async fn run(self, stop: CancellationToken) {
        join_all(Step::ALL.map(|step| self.repeat(step, &stop))).await;
        self.app.sweeps.lock().await.close().await;
    }

    async fn repeat(&self, step: Step, end: &CancellationToken) {
        loop {
            // replicas that started together must not sweep together
            let pause = self.interval.mul_f64(rand::random_range(0.5..1.5));
            if !is_left(end, pause).await {
                return;
            }
            self.turn(step, end).await;
        }
    }

    /// One turn of a step: until nothing is left that it can do now.
    pub async fn turn(&self, step: Step, end: &CancellationToken) -> Swept {
        let mut swept = Swept::new(step);
        match step {
            Step::Expiries => {
                self.settle_changes(&mut swept, end).await;
                self.close_overdue(&mut swept, end).await;
            }
            Step::Waits => self.prolong_waiting(&mut swept, end).await,
            Step::Deletions => self.finish_deletions(&mut swept, end).await,
            Step::Erasures => self.erase_deleted(&mut swept, end).await,
            Step::Old(old) => {
                if let Some(age) = self.retention.age(old) {
                    self.throw_away(old, age, &mut swept, end).await;
                }
            }
        }
        swept
    }

    /// Has the sweep's connection, then lets it rest for as long as that took.
    async fn ask<T>(
        &self,
        end: &CancellationToken,
        work: impl AsyncFnOnce(&mut PgConnection) -> store::Result<T>,
    ) -> store::Result<T> {
        let mut connection = self.app.sweeps.lock().await;
        let begin = Instant::now();
        let outcome = connection.run(work).await;
        is_left(end, begin.elapsed().min(LONGEST_REST)).await;
        outcome
    }
}

impl App {
    /// Carries out what the service itself has decided, unless that takes too long.
    pub(super) async fn submit_in_time(&self, command: Command) -> Result<Decided> {
        timeout(COMMAND_TIMEOUT, self.writer.submit(command)).await.unwrap_or(Err(Error::Overloaded))
    }
}

/// Waits; `false`: it is time to stop.
async fn is_left(end: &CancellationToken, pause: Duration) -> bool {
    timeout(pause, end.cancelled()).await.is_err()
}
