//! The use cases: rights, limits, transactions. Every change of an organization goes through the [`writer`].

mod accounts;
mod batch;
mod error;
mod invitations;
mod limits;
mod organizations;
mod suppressions;
mod sweep;
mod writer;

use std::sync::Arc;

use sqlx::{Connection, PgPool};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use accounts::{DeleteAccount, NewAccount};
pub use error::Error;
pub use invitations::{Audience, InvitationFilter, InvitationView, RequestAccess};
pub use limits::Limits;
pub use organizations::{MemberView, OrganizationView};
pub use suppressions::Suppression;
pub use sweep::Sweeper;
use writer::Writer;

use crate::domain::{
    Caller, Command, Deployment, InvitationId, Method, Operation, OrganizationId, Refusal, Role, Standing, Subject,
};
use crate::store;
use crate::store::organizations::Access;
use crate::store::tenants::Lock;

/// A use case's outcome.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that the edges may ask for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    reads: PgPool,
    writes: PgPool,
    writer: Writer,
    deployment: Arc<Deployment>,
    limits: Limits,
    /// What has to be finished before the process ends.
    tasks: TaskTracker,
}

impl App {
    /// Starts the writers on `tasks`. `committed` is woken after each commit: there may be email to send.
    pub fn start(
        reads: PgPool,
        writes: PgPool,
        deployment: Deployment,
        limits: Limits,
        tasks: TaskTracker,
        committed: &Arc<Notify>,
    ) -> Self {
        let deployment = Arc::new(deployment);
        Self {
            writer: Writer::start(&writes, &deployment, &tasks, committed),
            reads,
            writes,
            deployment,
            limits,
            tasks,
        }
    }

    /// Changes an organization and says what the answer is about.
    ///
    /// Only whom the organization trusts reaches the lock without a look: what anybody else asks for is first decided on
    /// what can be read without one, so nobody can hold up an organization from outside. What the caller may do only so
    /// often is charged in between, and stays charged if the caller leaves.
    pub async fn change(&self, command: Command) -> Result<Subject> {
        let counted = self.counted(&command).await?;
        // most invitations by email are counted; of the rest that is known only after a look
        let by_email = matches!(command.operation, Operation::CreateInvitation(_));
        let is_trusted = command.is_trusted(self.role_of(&command).await?);
        let looked = if is_trusted && (counted.is_none() || by_email) {
            None
        } else {
            let (batch, outcome) = self.dry_run(&command).await?;
            let decided = outcome?;
            // a repetition: who has left long ago could go on with it for ever
            if !batch.is_change() {
                return Ok(decided.subject);
            }
            Some(decided)
        };
        let counted = counted.filter(|_| looked.as_ref().is_none_or(|decided| decided.is_counted));
        let charge = match &counted {
            Some((counted, who)) => match self.charge(*counted, who).await {
                // a repetition is answered all the same
                Err(Error::Refused(refusal)) if looked.is_some() || self.dry_run(&command).await?.1?.is_counted => {
                    return Err(refusal.into());
                }
                Err(Error::Refused(_)) => None,
                charged => charged?,
            },
            None => None,
        };
        let outcome = self.writer.submit(command).await;
        self.settle(counted.map(|(counted, _)| counted), charge, &outcome).await;
        outcome.map(|decided| decided.subject)
    }

    /// The caller's role, where they are a member.
    async fn role_of(&self, command: &Command) -> Result<Option<Role>> {
        let Some(Caller::Account(username)) = &command.caller else { return Ok(None) };
        let mut connection = self.reads.acquire().await?;
        let access = store::organizations::access(&mut connection, &command.organization, Some(username)).await?;
        Ok(access.and_then(|access| access.role))
    }

    /// Decides a command on what is there at one moment, and writes nothing. Without the snapshot, whoever accepts twice
    /// at once may be read as offered a role and a member already, and refused.
    async fn dry_run(&self, command: &Command) -> Result<(batch::Batch, std::result::Result<batch::Decided, Refusal>)> {
        let command = command.clone();
        self.finish(|app| async move {
            let mut connection = app.reads.acquire().await?;
            let mut snapshot = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            let mut batch =
                batch::Batch::load(&mut snapshot, std::slice::from_ref(&command), &app.deployment, Lock::No).await?;
            snapshot.commit().await?;
            let outcome = batch.decide(&command, &app.deployment);
            Ok((batch, outcome))
        })
        .await
    }

    /// Runs to its end whether or not the caller waits: a transaction is never cancelled in the middle.
    async fn finish<T, F>(&self, work: impl FnOnce(Self) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        self.tasks.spawn(work(self.clone()).in_current_span()).await.unwrap_or(Err(Error::Fault))
    }

    /// What the caller is to an organization; strangers get the answer of what does not exist.
    async fn standing(
        &self,
        caller: &Caller,
        organization: &OrganizationId,
        subject: &Subject,
    ) -> Result<(Access, Standing)> {
        let mut connection = self.reads.acquire().await?;
        let access = store::organizations::access(&mut connection, organization, caller.username()).await?;
        let found = access.and_then(|access| Some((Standing::of(caller, organization, access.role)?, access)));
        let (standing, access) = found.ok_or_else(|| Refusal::not_found(organization, subject))?;
        Ok((access, standing))
    }

    /// The same, for a caller who may call that RPC about that subject.
    async fn admitted(
        &self,
        method: Method,
        caller: &Caller,
        organization: &OrganizationId,
        subject: &Subject,
    ) -> Result<(Access, Standing)> {
        let (access, standing) = self.standing(caller, organization, subject).await?;
        standing.check_call(method, caller, subject)?;
        Ok((access, standing))
    }

    /// Names that this deployment lets nobody register, beside our own list.
    pub fn reserved_names(&self) -> &[String] {
        &self.deployment.reserved_names
    }

    /// Whether Postgres answers and accepts writes.
    pub async fn is_ready(&self) -> bool {
        store::pool::is_writable(&self.writes).await
    }
}

/// A page of a list and where the next one begins; `None`: this is the last.
#[derive(Debug)]
pub struct Page<T, C> {
    pub items: Vec<T>,
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// Takes one item more than the page holds: whether it is there tells whether there is a next page.
    fn cut(mut items: Vec<T>, size: usize, cursor: impl Fn(&T) -> C) -> Self {
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }
}

/// How many rows to ask for, for a page of that size.
fn one_more(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1)
}

/// Where an invitation is.
pub type InvitationPlace = (OrganizationId, InvitationId);
