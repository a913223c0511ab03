//! The one place that changes an organization: whatever waits goes through one transaction together.
//!
//! A command travels to the writer over a channel and is carried out whether or not its caller still waits, so a
//! cancelled call can neither tear a transaction nor poison a connection. A caller that left before its command was
//! taken leaves nothing behind. One writer per organization at a time is the database's doing (the head row's lock), so
//! any number of replicas may run.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgPool};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use super::Error;
use super::batch::{Batch, Decided};
use crate::domain::{Command, Deployment, OrganizationId, Refusal};
use crate::store;
use crate::store::tenants::Lock;

/// The most commands that share a transaction.
const BATCH: usize = 256;
/// The most commands that wait for one writer; past it the service is overloaded and says so.
const QUEUE: usize = 1024;
/// Organizations are spread over as many writers as one replica needs: two fill two cores.
const WRITERS: usize = 2;
/// How often a whole batch is tried when it meets other transactions.
const ATTEMPTS: u32 = 3;

type Outcome = Result<Decided, Refusal>;

struct Job {
    command: Command,
    /// Of the call: what is logged about its command alone belongs there.
    span: Span,
    reply: oneshot::Sender<Result<Decided, Error>>,
}

/// Hands commands to the writers.
#[derive(Clone, Debug)]
pub struct Writer {
    lanes: [mpsc::Sender<Job>; WRITERS],
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("method", &self.command.operation.method()).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the writers; they end when the last handle is gone and what was queued is done.
    pub fn start(
        pool: &PgPool,
        deployment: &Arc<Deployment>,
        tasks: &TaskTracker,
        committed: &Arc<tokio::sync::Notify>,
    ) -> Self {
        let lanes = std::array::from_fn(|_| {
            let (sender, receiver) = mpsc::channel(QUEUE);
            let lane = Lane { pool: pool.clone(), deployment: deployment.clone(), committed: committed.clone() };
            tasks.spawn(lane.run(receiver));
            sender
        });
        Self { lanes }
    }

    /// Carries a command out and waits for what became of it.
    pub async fn submit(&self, command: Command) -> Result<Decided, Error> {
        let (reply, outcome) = oneshot::channel();
        let lane = &self.lanes[shard(&command.organization)];
        lane.try_send(Job { command, span: Span::current(), reply }).map_err(|_| Error::Overloaded)?;
        outcome.await.unwrap_or(Err(Error::Fault))
    }
}

fn shard(organization: &OrganizationId) -> usize {
    let mut hasher = DefaultHasher::new();
    organization.hash(&mut hasher);
    usize::from(hasher.finish().to_le_bytes()[0]) % WRITERS
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

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Before(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Before(error.into())
    }
}

#[derive(Clone)]
struct Lane {
    pool: PgPool,
    deployment: Arc<Deployment>,
    /// Woken after each commit: there may be email to send.
    committed: Arc<tokio::sync::Notify>,
}

impl Lane {
    async fn run(self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut jobs, BATCH).await > 0 {
            let awaited = jobs.drain(..).filter(|job| !job.reply.is_closed());
            let (commands, replies): (Vec<_>, Vec<_>) = awaited.map(|job| ((job.command, job.span), job.reply)).unzip();
            let outcomes = self.carry_out(commands).await;
            for (reply, outcome) in replies.into_iter().zip(outcomes) {
                // whoever left meanwhile finds the outcome by the request id
                reply.send(outcome).ok();
            }
            self.committed.notify_one();
        }
    }

    /// One outcome for each command. What fails as a whole is tried again in halves, down to the culprit: one bad row
    /// must not fail its neighbours.
    async fn carry_out(&self, commands: Vec<(Command, Span)>) -> Vec<Result<Decided, Error>> {
        let mut pending = vec![commands];
        let mut outcomes = Vec::new();
        // depth first and first half first, so outcomes come in the order of the commands
        while let Some(mut commands) = pending.pop() {
            if commands.is_empty() {
                continue;
            }
            let shared = commands.iter().map(|(command, _)| command.clone()).collect::<Arc<[Command]>>();
            let span = if let [(_, span)] = &*commands { span.clone() } else { Span::none() };
            match self.attempt(&shared).instrument(span.clone()).await {
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
                    let method = shared[0].operation.method();
                    span.in_scope(|| tracing::error!(?failure, method, "a command cannot be carried out"));
                    outcomes.push(Err(Error::Fault));
                }
            }
        }
        outcomes
    }

    /// Repeats the whole batch where that may help: another transaction was in the way, or the connection was dead
    /// before anything was sent.
    async fn attempt(&self, commands: &Arc<[Command]>) -> Result<Vec<Outcome>, Failure> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            // a task of its own: a panic in a decision ends it and not the writer
            let transaction = transact(self.pool.clone(), self.deployment.clone(), commands.clone());
            let transaction = tokio::spawn(transaction.in_current_span());
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
}

/// One transaction.
async fn transact(
    pool: PgPool,
    deployment: Arc<Deployment>,
    commands: Arc<[Command]>,
) -> Result<Vec<Outcome>, Failure> {
    let mut connection = pool.acquire().await?;
    let result = async {
        let mut transaction = connection.begin().await?;
        let mut batch = Batch::load(&mut transaction, &commands, &deployment, Lock::Yes).await?;
        let outcomes = commands.iter().map(|command| batch.decide(command, &deployment)).collect();
        batch.write(&mut transaction).await?;
        transaction.commit().await.map_err(|error| Failure::AtCommit(error.into()))?;
        Ok(outcomes)
    }
    .await;
    if let Err(Failure::Before(error) | Failure::AtCommit(error)) = &result
        && error.breaks_connection()
    {
        connection.detach().close_hard().await.ok();
    }
    result
}
