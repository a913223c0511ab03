//! Closes overdue invitations and finishes deletions: commands to organizations, many together.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use rand::seq::SliceRandom;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{LONGEST_REST, Sweeper, Swept, is_left};
use crate::app::accounts::Deletion;
use crate::app::{Error, Result};
use crate::domain::{Command, InvitationId, Operation, OrganizationId, Username};
use crate::store::{accounts, erasures, sweep};

/// Invitations that are closed together: of as many organizations as one transaction of the writer takes, or of fewer.
const TOGETHER: usize = 256;
/// How many overdue ones these are taken from at random: two replicas rarely lock the same organizations.
const LOOK: i64 = 1_024;
/// Deleted accounts that leave together.
const ACCOUNTS: usize = 16;

type Overdue = (OrganizationId, Vec<InvitationId>);

impl Sweeper {
    /// Pending changes that have taken effect by themselves, as every read shows: some of them in each turn are enough.
    pub(super) async fn settle_changes(&self, swept: &mut Swept, end: &CancellationToken) {
        let limit = i64::try_from(TOGETHER).unwrap_or(i64::MAX);
        let due = match self.ask(end, async |c| sweep::due_changes(c, limit).await).await {
            Ok(due) => due.into_iter().map(|organization| (organization, Vec::new())).collect::<Vec<_>>(),
            Err(error) => return swept.fail(&error),
        };
        for outcome in join_all(due.iter().map(|due| self.close(due))).await {
            match outcome {
                Ok(()) => swept.round(1),
                Err(error) => swept.fail(&error),
            }
        }
    }

    /// What fails in one organization is always the longest overdue, and would fill every round: it is passed over until
    /// the next turn.
    pub(super) async fn close_overdue(&self, swept: &mut Swept, end: &CancellationToken) {
        let mut failed = Vec::new();
        while !end.is_cancelled() {
            let looked = self.ask(end, async |c| sweep::due_invitations(c, &failed, LOOK).await).await;
            let due = match looked {
                Ok(due) if due.is_empty() => return,
                Ok(due) => due,
                Err(error) => return swept.fail(&error),
            };
            let begin = Instant::now();
            let mut by_organization = BTreeMap::<OrganizationId, Vec<_>>::new();
            for (organization, invitation) in due {
                by_organization.entry(organization).or_default().push(invitation);
            }
            let overdue = some_of(by_organization);
            let closed = join_all(overdue.iter().map(|overdue| self.close(overdue))).await;
            let mut rows = 0;
            for (overdue, outcome) in overdue.iter().zip(closed) {
                let outcome = match outcome {
                    // perhaps only because of another one in the same transaction
                    Err(Error::Unavailable) if self.app.is_ready().await => self.close(overdue).await,
                    outcome => outcome,
                };
                match outcome {
                    Ok(()) => rows += overdue.1.len() as u64,
                    Err(error) => {
                        swept.fail(&error);
                        failed.push(overdue.0.as_str().to_owned());
                    }
                }
            }
            swept.round(rows);
            is_left(end, begin.elapsed().min(LONGEST_REST)).await;
        }
    }

    async fn close(&self, (organization, invitations): &Overdue) -> Result<()> {
        let operation = Operation::Expire(invitations.clone());
        let command = Command::new(organization.clone(), None, None, operation);
        self.app.submit_in_time(command).await.map(drop)
    }

    pub(super) async fn finish_deletions(&self, swept: &mut Swept, end: &CancellationToken) {
        let mut after = None;
        while !end.is_cancelled() {
            let limit = i64::try_from(ACCOUNTS).unwrap_or(i64::MAX);
            let looked = self.ask(end, async |c| sweep::unfinished_deletions(c, after, limit).await).await;
            let unfinished = match looked {
                Ok(unfinished) => unfinished,
                Err(error) => return swept.fail(&error),
            };
            after = unfinished.last().map(|(_, deleted)| *deleted);
            let is_last = unfinished.len() < ACCOUNTS;
            let finished = unfinished.into_iter().map(|(username, _)| self.finish_deletion(username, end));
            let mut rows = 0;
            for outcome in join_all(finished).await {
                match outcome {
                    Ok(count) => rows += count,
                    // one that cannot leave must not keep the others
                    Err(error) => swept.fail(&error),
                }
            }
            swept.round(rows);
            if is_last {
                return;
            }
        }
    }

    /// How many organizations were left.
    async fn finish_deletion(&self, username: Username, end: &CancellationToken) -> Result<u64> {
        let deletion = Deletion { username, caller: None, request: None };
        let username = &deletion.username;
        let organizations = self.ask(end, async |c| accounts::organizations_of(c, username).await).await?;
        let count = organizations.len() as u64;
        self.app.leave(&deletion, organizations).await?;
        let finish = self.ask(end, async |c| {
            // what an organization refused to carry out is still there
            let is_left = accounts::organizations_of(c, username).await?.is_empty();
            if is_left && sweep::finish_deletion(c, username).await? {
                erasures::note(c, username, &[String::new()], None).await?;
            }
            Ok(())
        });
        finish.await?;
        Ok(count)
    }
}

/// As many as go together, of organizations at random.
fn some_of(by_organization: BTreeMap<OrganizationId, Vec<InvitationId>>) -> Vec<Overdue> {
    let mut all = by_organization.into_iter().collect::<Vec<_>>();
    all.shuffle(&mut rand::rng());
    let mut left = TOGETHER;
    let some = all.into_iter().map_while(|(organization, mut invitations)| {
        invitations.truncate(left);
        left -= invitations.len();
        (!invitations.is_empty()).then_some((organization, invitations))
    });
    some.collect()
}
