//! The one place that changes an organization: whatever waits goes through one transaction together.
//!
//! A command travels to the writer over a channel and is carried out whether or not its caller still waits, so a
//! cancelled call can neither tear a transaction nor poison a connection. A caller that left before its command was
//! taken leaves nothing behind. One writer per organization at a time is the database's doing (the head row's lock), so
//! any number of replicas may run.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use sqlx::Connection;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use super::batch::{Batch, Decided};
use super::error::{ATTEMPTS, Error};
use super::together::{Queue, Turn, Worker};
use crate::domain::{Command, Deployment, Refusal};
use crate::store;
use crate::store::connection::Own;

/// While one writer commits, the other one decides.
const WRITERS: usize = 2;

type Outcome = Result<Decided, Refusal>;

/// Hands commands to the writers.
#[derive(Clone, Debug)]
pub struct Writer {
    lanes: Queue<Lane>,
}

impl Writer {
    /// Starts the writers, each with a connection like this one; they end when the last handle is gone and what was
    /// queued is done.
    pub fn start(
        connection: &Own,
        deployment: &Arc<Deployment>,
        tasks: &TaskTracker,
        committed: &Arc<tokio::sync::Notify>,
    ) -> Self {
        let lane =
            |_| Lane { connection: connection.another(), deployment: deployment.clone(), committed: committed.clone() };
        Self { lanes: Queue::start((0..WRITERS).map(lane), tasks) }
    }

    /// Carries a command out and waits for what became of it.
    pub async fn submit(&self, command: Command) -> Result<Decided, Error> {
        // the span of the call: what is logged about its command alone belongs there
        self.lanes.ask((command, Span::current())).await
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
}

impl Worker for Lane {
    type Task = (Command, Span);
    type Outcome = Decided;

    async fn work(&mut self, commands: Vec<(Command, Span)>, turn: &Turn) -> Vec<Result<Decided, Error>> {
        let outcomes = self.carry_out(commands, turn).await;
        self.committed.notify_one();
        outcomes
    }

    async fn end(mut self) {
        self.connection.close().await;
    }
}

impl Lane {
    /// One outcome for each command. What fails as a whole is tried again in halves, down to the culprit: one bad row
    /// must not fail its neighbours.
    async fn carry_out(&mut self, commands: Vec<(Command, Span)>, turn: &Turn) -> Vec<Result<Decided, Error>> {
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
                Ok(decided) => outcomes.extend(decided.into_iter().map(|outcome| outcome.map_err(Error::from))),
                Err(
                    Failure::Before(store::Error::Unavailable(why)) | Failure::AtCommit(store::Error::Unavailable(why)),
                ) => {
                    span.in_scope(|| tracing::warn!(why, commands = commands.len(), "database unavailable"));
                    outcomes.extend(commands.iter().map(|_| Err(Error::Unavailable)));
                }
                Err(_) if commands.len() > 1 => {
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
                Failure::Before(store::Error::Fault(_)) | Failure::AtCommit(_) | Failure::Panic => false,
            };
            if !again {
                return Err(failure);
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(1..20))).await;
        }
    }

    /// One transaction. The next one may begin while this one commits.
    async fn transact(&mut self, commands: &[Command], turn: &Turn) -> Result<Vec<Outcome>, Failure> {
        let Self { connection, deployment, .. } = self;
        let mut committing = false;
        let transaction = connection.run(async |connection| {
            let mut transaction = connection.begin().await?;
            let mut batch = Batch::lock(&mut transaction, commands, deployment).await?;
            let outcomes = commands.iter().map(|command| batch.decide(command, deployment)).collect();
            batch.write(&mut transaction).await?;
            committing = true;
            turn.pass();
            transaction.commit().await?;
            Ok(outcomes)
        });
        let outcome = transaction.await;
        outcome.map_err(|error| if committing { Failure::AtCommit(error) } else { Failure::Before(error) })
    }
}
