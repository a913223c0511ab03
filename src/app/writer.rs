//! The one place that changes an organization: whatever waits goes through one transaction together.
//!
//! A command travels to the writer over a channel and is carried out whether or not its caller still waits, so a
//! cancelled call can neither tear a transaction nor poison a connection. A caller that left before its command was
//! taken leaves nothing behind. One writer per organization at a time is the database's doing (the head row's lock), so
//! any number of replicas may run.
//!
//! No command waits for the lock of another one. The lanes carry out what they can lock and leave out the rest, which
//! goes to writers that wait for the lock of one organization: in the database's queue, so no replica starves.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use sqlx::Connection;
use tokio::time::{Instant, sleep};
use tracing::{Instrument, Span};

use super::batch::{Batch, Decided, Locking};
use super::error::{ATTEMPTS, Error};
use super::held::Held;
use super::together::{Queue, Turn, Worker};
use super::transitions;
use super::watch::Hub;
use crate::domain::{Command, Deployment, OrganizationId, Refusal};
use crate::store;
use crate::store::connection::Own;
use crate::store::pool::Engine;
use crate::tasks::Tasks;
use crate::traces;

/// Writers that wait for a lock. They connect when one is first waited for.
const WAITING: usize = 2;
/// How long a command is tried for while somebody else has locked what it needs: longer than most calls may take.
const GIVE_UP_AFTER: Duration = Duration::from_secs(15);
/// Between two tries, in milliseconds.
const PAUSE: std::ops::Range<u64> = 10..40;

/// `None`: somebody else has locked what the command needs.
type Outcome = Option<Result<Decided, Refusal>>;

/// Hands commands to the writers.
#[derive(Clone, Debug)]
pub struct Writer {
    /// One for all lanes: while one of them commits, another one decides what has gathered. Where the database is
    /// distributed, one for each: a transaction is for one organization, whose commands gather behind the same lane.
    lanes: Vec<Queue<Lane>>,
    /// For what the lanes have left out.
    waiting: Queue<Lane>,
    bulk: Queue<Bulk>,
}

impl Writer {
    /// Starts that many lanes, and the waiting writers, each with a connection like the one for it; they end when the last
    /// handle is gone and what was queued is done.
    pub fn start(
        (lanes, of_lanes): (usize, Own),
        of_waiting: &Own,
        deployment: &Arc<Deployment>,
        tasks: &Tasks,
        committed: &Arc<tokio::sync::Notify>,
        hub: &Hub,
    ) -> Self {
        let held = Held::default();
        let writer = |connection: &Own, locking| Lane {
            connection: connection.another(),
            deployment: deployment.clone(),
            committed: committed.clone(),
            hub: hub.clone(),
            held: held.clone(),
            locking,
        };
        let waiting = Queue::start((0..WAITING).map(|_| writer(of_waiting, Locking::Wait)), tasks);
        let lanes = (0..lanes).map(|_| writer(&of_lanes, Locking::Skip));
        let lanes = match of_lanes.engine() {
            Engine::Single => vec![Queue::start(lanes, tasks)],
            Engine::Distributed => lanes.map(|lane| Queue::start([lane], tasks)).collect(),
        };
        // no lane waits for it: what is one organization's can wait in the database's queue
        let bulk = Queue::start([Bulk(writer(&of_lanes, Locking::Wait))], tasks);
        Self { lanes, waiting, bulk }
    }

    /// Whether more commands come than can be carried out.
    pub fn is_behind(&self) -> bool {
        self.lanes.iter().any(Queue::is_behind)
    }

    /// Carries a command out and waits for what became of it.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`]: too much waits, or somebody else had locked what it needs for 15 s.
    pub async fn submit(&self, command: Command) -> Result<Decided, Error> {
        let began = Instant::now();
        let command = Command { trace: traces::current(), ..command };
        loop {
            for writers in [self.lane(&command.organization), &self.waiting] {
                // the span of the call: what is logged about its command alone belongs there
                if let Some(decided) = writers.ask((command.clone(), Span::current())).await? {
                    return Ok(decided);
                }
                if began.elapsed() > GIVE_UP_AFTER {
                    tracing::warn!(method = command.operation.method(), "given up: what is to be changed stays locked");
                    return Err(Error::Overloaded);
                }
            }
            sleep(Duration::from_millis(rand::random_range(PAUSE))).await;
        }
    }

    /// Carries out commands of one organization in one transaction, and waits for what became of each. Beside the lanes, over
    /// a connection of their own: whoever has many does not keep others waiting.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`] of a command, as above; of all of them: too much waits.
    pub async fn submit_together(&self, commands: &[Command]) -> Result<Vec<Result<Decided, Error>>, Error> {
        let began = Instant::now();
        let mut outcomes = commands.iter().map(|_| None).collect::<Vec<Option<Result<Decided, Error>>>>();
        loop {
            for waits in [false, true] {
                let open = |(n, outcome): (usize, &Option<_>)| outcome.is_none().then_some(n);
                let left = outcomes.iter().enumerate().filter_map(open).collect::<Vec<_>>();
                let command = |n: &usize| Command { trace: traces::current(), ..commands[*n].clone() };
                let tasks = left.iter().map(|n| (command(n), Span::current()));
                let decided = if waits {
                    join_all(tasks.map(|task| self.waiting.ask(task))).await
                } else {
                    self.bulk.ask(tasks.collect()).await?
                };
                for (n, decided) in left.into_iter().zip(decided) {
                    outcomes[n] = decided.transpose();
                }
                if outcomes.iter().all(Option::is_some) {
                    return Ok(outcomes.into_iter().flatten().collect());
                }
                if began.elapsed() > GIVE_UP_AFTER {
                    tracing::warn!(commands = commands.len(), "given up: what is to be changed stays locked");
                    return Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(Error::Overloaded))).collect());
                }
            }
            sleep(Duration::from_millis(rand::random_range(PAUSE))).await;
        }
    }

    /// Whether more is waiting to be carried out together than can be.
    pub fn is_bulk_behind(&self) -> bool {
        self.bulk.is_behind()
    }

    fn lane(&self, organization: &OrganizationId) -> &Queue<Lane> {
        let mut hasher = DefaultHasher::new();
        organization.hash(&mut hasher);
        let nth = hasher.finish() % self.lanes.len() as u64;
        &self.lanes[usize::try_from(nth).unwrap_or_default()]
    }
}

/// The writer of what one caller wants to be carried out together: each round is one task, so that callers take turns.
struct Bulk(Lane);

impl Worker for Bulk {
    const NAME: &'static str = "bulk writer";
    /// Of one organization.
    type Task = Vec<(Command, Span)>;
    /// One for each command; `None`: somebody else has locked what it needs.
    type Outcome = Vec<Result<Option<Decided>, Error>>;

    fn goes_with(&self, _first: &Self::Task, _other: &Self::Task) -> bool {
        false
    }

    async fn work(&mut self, tasks: Vec<Self::Task>, turn: &Turn) -> Vec<Result<Self::Outcome, Error>> {
        let mut outcomes = Vec::with_capacity(tasks.len());
        for commands in tasks {
            outcomes.push(Ok(self.0.carry_out(commands, turn).await));
            self.0.committed.notify_one();
        }
        outcomes
    }

    async fn end(self) {
        self.0.end().await;
    }
}

/// Why a transaction came to nothing.
#[derive(Debug)]
enum Failure {
    /// Nothing was written.
    Before(store::Error),
    /// The connection broke during COMMIT: nobody knows, but the request ids will tell.
    AtCommit(store::Error),
    /// A decision panicked; nothing was written.
    Panic,
}

/// One writer.
struct Lane {
    connection: Own,
    deployment: Arc<Deployment>,
    /// Woken after each commit: there may be email to send.
    committed: Arc<tokio::sync::Notify>,
    /// Hears whose events were written.
    hub: Hub,
    held: Held,
    locking: Locking,
}

impl Worker for Lane {
    const NAME: &'static str = "writer";
    type Task = (Command, Span);
    type Outcome = Option<Decided>;

    /// Who waits for a lock waits for one organization's, and a distributed transaction is for one.
    fn goes_with(&self, (first, _): &Self::Task, (other, _): &Self::Task) -> bool {
        let is_for_many = self.locking == Locking::Skip && self.connection.engine() == Engine::Single;
        is_for_many || first.organization == other.organization
    }

    async fn work(&mut self, commands: Vec<(Command, Span)>, turn: &Turn) -> Vec<Result<Option<Decided>, Error>> {
        if self.locking == Locking::Wait {
            turn.pass();
        }
        let organizations = commands.iter().map(|(command, _)| command.organization.clone()).collect::<Vec<_>>();
        let outcomes = self.carry_out(commands, turn).await;
        self.committed.notify_one();
        let is_change = |outcome: &Result<Option<Decided>, Error>| matches!(outcome, Ok(Some(it)) if it.is_change);
        let changed = organizations.iter().zip(&outcomes).filter(|(_, outcome)| is_change(outcome));
        self.hub.note(changed.map(|(organization, _)| organization));
        outcomes
    }

    async fn end(mut self) {
        self.connection.close().await;
    }
}

impl Lane {
    /// One outcome for each command. What fails as a whole is tried again in halves, down to the culprit: one bad row
    /// must not fail its neighbours.
    async fn carry_out(&mut self, commands: Vec<(Command, Span)>, turn: &Turn) -> Vec<Result<Option<Decided>, Error>> {
        let mut pending = vec![commands];
        let mut outcomes = Vec::new();
        // depth first and first half first, so outcomes come in the order of the commands
        while let Some(mut commands) = pending.pop() {
            if commands.is_empty() {
                continue;
            }
            let batch = commands.iter().map(|(command, _)| command.clone()).collect::<Vec<_>>();
            let span = if let [(_, span)] = &*commands { span.clone() } else { Span::none() };
            match self.attempt(&batch, turn).instrument(span.clone()).await {
                Ok(decided) => outcomes.extend(decided.into_iter().map(|o| o.transpose().map_err(Error::from))),
                Err(Failure::Before(store::Error::Locked)) => outcomes.extend(commands.iter().map(|_| Ok(None))),
                Err(
                    Failure::Before(store::Error::Unavailable(why)) | Failure::AtCommit(store::Error::Unavailable(why)),
                ) => {
                    span.in_scope(|| tracing::warn!(why, commands = commands.len(), "database unavailable"));
                    outcomes.extend(commands.iter().map(|_| Err(Error::Unavailable)));
                }
                Err(failure) if commands.len() > 1 => {
                    tracing::warn!(?failure, commands = commands.len(), "a batch failed and is tried again in halves");
                    metrics::counter!("invitations_batches_halved_total").increment(1);
                    let second = commands.split_off(commands.len() / 2);
                    pending.push(second);
                    pending.push(commands);
                }
                Err(failure) => {
                    let method = batch[0].operation.method();
                    span.in_scope(|| tracing::error!(?failure, method, "a command cannot be carried out"));
                    outcomes.push(Err(Error::Fault));
                }
            }
        }
        outcomes
    }

    /// Repeats the whole batch where that may help: another transaction was in the way, or the connection was dead
    /// before anything was sent.
    async fn attempt(&mut self, commands: &[Command], turn: &Turn) -> Result<Vec<Outcome>, Failure> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            // a panic in a decision ends the transaction, with its connection, and not the writer
            let transaction = AssertUnwindSafe(self.transact(commands, turn)).catch_unwind();
            let failure = match transaction.await {
                Ok(Ok(outcomes)) => return Ok(outcomes),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Panic,
            };
            let again = match &failure {
                Failure::Before(store::Error::Conflict | store::Error::Constraint(_) | store::Error::Stale(_)) => {
                    attempt < ATTEMPTS
                }
                Failure::Before(store::Error::Unavailable(_)) => attempt == 1,
                Failure::Before(store::Error::Locked | store::Error::Exhausted | store::Error::Fault(_))
                | Failure::AtCommit(_)
                | Failure::Panic => false,
            };
            if !again {
                return Err(failure);
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(1..20))).await;
        }
    }

    /// One transaction. The next one may begin while this one commits.
    async fn transact(&mut self, commands: &[Command], turn: &Turn) -> Result<Vec<Outcome>, Failure> {
        let Self { connection, deployment, held, locking, .. } = self;
        let engine = connection.engine();
        let _taken = match locking {
            Locking::Skip => {
                Some(held.take(commands.iter().map(|command| command.organization.clone()).collect()).await)
            }
            Locking::Wait => None,
        };
        let mut committing = false;
        let transaction = connection.run(async |connection| {
            let mut transaction = connection.begin().await?;
            let mut batch = Batch::lock(&mut transaction, commands, *locking, deployment, engine).await?;
            let mut decide = |command| batch.holds(command).then(|| batch.decide(command, deployment));
            let outcomes = commands.iter().map(&mut decide).collect();
            batch.write(&mut transaction).await?;
            committing = true;
            turn.pass();
            transaction.commit().await?;
            batch.transitions().for_each(transitions::count);
            Ok(outcomes)
        });
        let outcome = transaction.await;
        outcome.map_err(|error| if committing { Failure::AtCommit(error) } else { Failure::Before(error) })
    }
}
