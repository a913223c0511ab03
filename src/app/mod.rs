//! The use cases: rights, limits, transactions. Every change of an organization goes through the [`writer`].

mod accounts;
mod batch;
mod bulk;
mod callers;
mod changer;
mod charges;
mod counter;
mod dry_run;
mod error;
mod figures;
mod held;
mod held_keys;
mod invitations;
mod limits;
mod lookup;
mod organizations;
mod readiness;
mod reading;
mod registrar;
mod revocations;
mod suppressions;
mod sweep;
mod together;
mod transitions;
mod views;
mod watch;
mod writer;

use std::sync::Arc;

use tokio::sync::{Mutex, Notify};
use tracing::Instrument;

pub use accounts::DeleteAccount;
use batch::Decided;
pub use callers::{About, Call};
use changer::Changer;
use counter::Counter;
use dry_run::{DryRun, DryRuns};
pub use error::{Error, Result};
pub use invitations::{InvitationFilter, RequestAccess};
pub use limits::Limits;
use lookup::CallerLookup;
use readiness::Readiness;
pub use registrar::NewAccount;
use registrar::Registrar;
pub use revocations::Revocations;
pub use suppressions::Suppression;
pub use sweep::{Old, Retention, Step, Sweeper, Swept};
use together::Queue;
pub use views::{Audience, InvitationView, MemberView, OrganizationView};
use watch::Watchers;
pub use watch::{Follower, Happened, Place};
use writer::Writer;

use crate::domain::{Command, Deployment, InvitationId, Method, Operation, OrganizationId};
use crate::store::connection::Own;
use crate::store::pool::{self, DatabaseUrl, Pool, Purpose};
use crate::tasks::Tasks;

/// Everything that the edges may ask for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    /// For lists, and for what is rare.
    reads: Pool,
    /// For the transactions of accounts and suppressions.
    writes: Pool,
    callers: Queue<CallerLookup>,
    dry_runs: Queue<DryRuns>,
    counter: Queue<Counter>,
    registrar: Queue<Registrar>,
    writer: Writer,
    watchers: Watchers,
    readiness: Arc<Mutex<Readiness>>,
    /// The sweep has one, so it can take no more than that.
    sweeps: Arc<Mutex<Own>>,
    deployment: Arc<Deployment>,
    limits: Limits,
    /// What has to be finished before the process ends.
    tasks: Tasks,
}

/// Connections for the transactions of accounts and suppressions, at least.
const WRITE_CONNECTIONS: usize = 4;

/// Where the state is: pools, and the connections of those who have one of their own.
#[derive(Debug)]
pub struct Connections {
    pub reads: Pool,
    pub writes: Pool,
    callers: Own,
    dry_runs: Own,
    counter: Own,
    registrar: Own,
    /// How many writers there are, and what each has one like.
    lanes: (usize, Own),
    /// Each writer that waits for locks.
    waiting: Own,
    watching: Own,
    readiness: Own,
    sweeps: Own,
}

impl Connections {
    /// Connects to nothing yet. `reads`: how many connections there are for lists; `writers`: how many transactions that
    /// change organizations run at a time, at least 1.
    ///
    /// # Errors
    ///
    /// It is no URL of Postgres.
    pub fn open(url: impl Into<DatabaseUrl>, reads: usize, writers: usize) -> std::result::Result<Self, sqlx::Error> {
        let url = url.into();
        let own = |purpose| Own::new(url.clone(), purpose);
        Ok(Self {
            reads: pool::open(url.clone(), Purpose::Read, reads)?,
            writes: pool::open(url.clone(), Purpose::Write, writers.max(WRITE_CONNECTIONS))?,
            callers: own(Purpose::Read)?,
            dry_runs: own(Purpose::Read)?,
            counter: own(Purpose::Charge)?,
            registrar: own(Purpose::Batch)?,
            lanes: (writers, own(Purpose::Batch)?),
            waiting: own(Purpose::Write)?,
            watching: own(Purpose::Read)?,
            readiness: own(Purpose::Read)?,
            sweeps: own(Purpose::Write)?,
        })
    }
}

impl App {
    /// Starts the workers on `tasks`. `committed` is woken after each commit: there may be email to send.
    pub fn start(
        connections: Connections,
        deployment: Deployment,
        limits: Limits,
        tasks: Tasks,
        committed: &Arc<Notify>,
    ) -> Self {
        let deployment = Arc::new(deployment);
        let watchers = Watchers::start(connections.watching, &tasks);
        Self {
            reads: connections.reads,
            writes: connections.writes,
            callers: Queue::start([CallerLookup(connections.callers)], &tasks),
            dry_runs: Queue::start(
                [DryRuns { connection: connections.dry_runs, deployment: Arc::clone(&deployment) }],
                &tasks,
            ),
            counter: Queue::start([Counter(connections.counter)], &tasks),
            registrar: Queue::start([Registrar(connections.registrar)], &tasks),
            writer: Writer::start(
                connections.lanes,
                &connections.waiting,
                &deployment,
                &tasks,
                committed,
                &watchers.hub,
            ),
            watchers,
            readiness: Arc::new(Mutex::new(Readiness::new(connections.readiness))),
            sweeps: Arc::new(Mutex::new(connections.sweeps)),
            deployment,
            limits,
            tasks,
        }
    }

    /// Changes an organization and says what became of it.
    ///
    /// Only whom the organization trusts reaches the lock without a dry run: what anybody else asks for is first decided
    /// on what can be read without one, so nobody can hold up an organization from outside. What the caller may do only
    /// so often is charged in between, and stays charged if the caller leaves.
    async fn change(&self, command: Command, changer: &Changer) -> Result<Decided> {
        let counted = self.counted(&command);
        // most invitations by email are counted; of the rest that is known only after a dry run
        let by_email = matches!(command.operation, Operation::CreateInvitation(_));
        let dry = if command.is_trusted(changer.role) && (counted.is_none() || by_email) {
            None
        } else {
            let DryRun { outcome, is_change } = self.dry_runs.ask(command.clone()).await?;
            let decided = match (outcome, counted) {
                // that a name is taken, or an account there, is what such a try finds out
                (Err(refusal), Some(counted)) if counted.is_found_out_by(&refusal) => {
                    self.charge(counted, &changer.identity).await?;
                    return Err(refusal.into());
                }
                (outcome, _) => outcome?,
            };
            // a repetition: who has left long ago could go on with it for ever
            if !is_change {
                return Ok(decided);
            }
            Some(decided)
        };
        let counted = counted.filter(|_| dry.as_ref().is_none_or(|decided| decided.is_counted));
        let charge = match counted {
            Some(counted) => match self.charge(counted, &changer.identity).await {
                // a repetition is answered all the same
                Err(Error::Refused(refusal))
                    if dry.is_some() || self.dry_runs.ask(command.clone()).await?.outcome?.is_counted =>
                {
                    return Err(refusal.into());
                }
                Err(Error::Refused(_)) => None,
                charged => charged?,
            },
            None => None,
        };
        let pace = match self.charge_change(&changer.identity, &command).await {
            Ok(pace) => pace,
            Err(error) => {
                self.give_back(charge);
                return Err(error);
            }
        };
        let outcome = self.writer.submit(command).await;
        self.settle(charge, &outcome, |decided| decided.is_counted);
        self.settle(pace, &outcome, |decided| decided.is_change);
        outcome
    }

    /// Runs to its end whether or not the caller waits: a transaction is never cancelled in the middle.
    async fn finish<T, F>(&self, work: impl FnOnce(Self) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        self.tasks.spawn(work(self.clone()).in_current_span()).await.unwrap_or(Err(Error::Fault))
    }

    /// Names that this deployment lets nobody register, beside our own list.
    pub fn reserved_names(&self) -> &[String] {
        &self.deployment.reserved_names
    }

    /// Refuses a call at once that would have to wait for long, before anything is done for it: what is refused late
    /// takes the time of what could be carried out.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`].
    pub fn admit(&self, method: Method) -> Result<()> {
        let is_behind = match method {
            Method::BatchCreateInvitations | Method::RevokeInvitations => self.writer.is_bulk_behind(),
            _ if method.is_read() => self.reads.is_behind(),
            _ => self.writer.is_behind(),
        };
        if is_behind || self.callers.is_behind() { Err(Error::Overloaded) } else { Ok(()) }
    }

    /// Whether Postgres answers and accepts writes.
    pub async fn is_ready(&self) -> bool {
        self.readiness.lock().await.look().await
    }
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<T, C> {
    /// Each with where a page begins that follows it.
    pub items: Vec<(C, T)>,
    /// Where the next page begins, if there is one. All of these may be left out of this page from some item on: then the
    /// next one begins behind the last that was not.
    pub next: Option<C>,
}

impl<T, C: Clone> Page<T, C> {
    /// Takes one item more than the page holds: whether it is there tells whether there is a next page.
    fn cut(mut items: Vec<T>, size: usize, cursor: impl Fn(&T) -> C) -> Self {
        let has_more = items.len() > size;
        items.truncate(size);
        let items = items.into_iter().map(|item| (cursor(&item), item)).collect::<Vec<_>>();
        let next = items.last().map(|(cursor, _)| cursor.clone()).filter(|_| has_more);
        Self { items, next }
    }

    fn map<U>(self, mut show: impl FnMut(T) -> U) -> Page<U, C> {
        let items = self.items.into_iter().map(|(cursor, item)| (cursor, show(item))).collect();
        Page { items, next: self.next }
    }
}

/// How many rows to ask for, for a page of that size.
fn one_more(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1)
}

/// Where an invitation is.
pub type InvitationPlace = (OrganizationId, InvitationId);
