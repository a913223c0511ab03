//! Closes and throws away what is over. Every replica sweeps; no answer ever depends on it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::accounts::Deletion;
use super::{App, Error, Result};
use crate::domain::{Command, Operation, OrganizationId, Username};
use crate::store::{accounts, sweep};

/// How many rows one round looks at.
const ROUND: i64 = 500;
/// Each change leaves a request id, so there is more than a round of them.
const REQUEST_ID_ROUNDS: usize = 100;

/// Sweeps until it is told to stop.
#[derive(Debug)]
pub struct Sweeper {
    pub app: App,
    /// From the end of one round to the beginning of the next.
    pub interval: Duration,
}

impl Sweeper {
    pub async fn run(self, stop: CancellationToken) {
        loop {
            // replicas that started together must not sweep together
            let pause = self.interval.mul_f64(rand::random_range(0.5..1.5));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            if let Err(error) = self.app.sweep().await {
                tracing::warn!(?error, "a sweep did not finish, the next one goes on");
            }
        }
    }
}

impl App {
    /// One round; how many invitations it closed.
    pub async fn sweep(&self) -> Result<usize> {
        let closed = self.close_overdue().await?;
        self.finish_deletions().await?;
        self.purge().await?;
        Ok(closed)
    }

    /// What fails in one organization is always the longest overdue, and would fill every round: it is passed over and
    /// the next ones get their turn.
    async fn close_overdue(&self) -> Result<usize> {
        let (mut closed, mut failed) = (0, Vec::new());
        loop {
            let due = {
                let mut connection = self.reads.acquire().await?;
                sweep::due_invitations(&mut connection, &failed, ROUND).await?
            };
            let mut by_organization = BTreeMap::<OrganizationId, Vec<_>>::new();
            for (organization, invitation) in due {
                by_organization.entry(organization).or_default().push(invitation);
            }
            let failed_before = failed.len();
            for (organization, invitations) in by_organization {
                let (count, id) = (invitations.len(), organization.as_str().to_owned());
                let operation = Operation::Expire(invitations);
                let command = Command { organization, caller: None, request: None, operation };
                match self.writer.submit(command).await {
                    Ok(_) => closed += count,
                    Err(Error::Refused(_) | Error::Fault) => failed.push(id),
                    // its lock may be held by somebody, and nothing else be wrong
                    Err(Error::Unavailable) if self.is_ready().await => failed.push(id),
                    Err(error) => return Err(error),
                }
            }
            if failed.len() == failed_before {
                return Ok(closed);
            }
        }
    }

    async fn finish_deletions(&self) -> Result<()> {
        let accounts = {
            let mut connection = self.reads.acquire().await?;
            sweep::unfinished_deletions(&mut connection, ROUND).await?
        };
        for username in accounts {
            // one that cannot leave must not keep the others
            if let Err(error) = self.finish_deletion(username).await {
                tracing::warn!(?error, "a deleted account could not leave its organizations yet");
            }
        }
        Ok(())
    }

    async fn finish_deletion(&self, username: Username) -> Result<()> {
        let deletion = Deletion { username, caller: None, request: None };
        self.leave_all(&deletion).await?;
        let mut connection = self.writes.acquire().await?;
        // what an organization refused to carry out is still there
        if accounts::organizations_of(&mut connection, &deletion.username).await?.is_empty() {
            sweep::finish_deletion(&mut connection, &deletion.username).await?;
        }
        Ok(())
    }

    async fn purge(&self) -> Result<()> {
        let mut connection = self.writes.acquire().await?;
        for _ in 0..REQUEST_ID_ROUNDS {
            let old = sweep::old_request_ids(&mut connection, ROUND).await?;
            if old.is_empty() {
                break;
            }
            sweep::purge_request_ids(&mut connection, &old).await?;
        }
        for (identity, id) in sweep::old_account_request_ids(&mut connection, ROUND).await? {
            sweep::purge_account_request_id(&mut connection, &identity, id).await?;
        }
        for subject in sweep::old_limits(&mut connection, ROUND).await? {
            sweep::purge_limits(&mut connection, &subject).await?;
        }
        Ok(())
    }
}
