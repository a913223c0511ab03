//! Prolongs invitations whose emails wait for the limit of their recipients.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{Sweeper, Swept};
use crate::app::Result;
use crate::domain::{Command, Operation, OrganizationId};
use crate::store::waits::{self, Wait};

/// Waits that are looked at together.
const TOGETHER: i64 = 256;

impl Sweeper {
    /// What fails in one organization is passed over until the next turn.
    pub(super) async fn prolong_waiting(&self, swept: &mut Swept, end: &CancellationToken) {
        let mut failed = Vec::new();
        while !end.is_cancelled() {
            let found = match self.ask(end, async |c| waits::find(c, &failed, TOGETHER).await).await {
                Ok(found) if found.is_empty() => return,
                Ok(found) => found,
                Err(error) => return swept.fail(&error),
            };
            let mut by_organization = BTreeMap::<OrganizationId, Vec<Wait>>::new();
            for wait in found {
                by_organization.entry(wait.organization.clone()).or_default().push(wait);
            }
            let prolonged = join_all(by_organization.values().map(|waits| self.prolong(waits))).await;
            let mut done = Vec::new();
            for ((organization, waits), outcome) in by_organization.into_iter().zip(prolonged) {
                match outcome {
                    Ok(()) => done.extend(waits),
                    Err(error) => {
                        swept.fail(&error);
                        failed.push(organization.as_str().to_owned());
                    }
                }
            }
            match self.ask(end, async |c| waits::done(c, &done).await).await {
                Ok(()) => swept.round(done.len() as u64),
                Err(error) => return swept.fail(&error),
            }
        }
    }

    /// All of one organization.
    async fn prolong(&self, waits: &[Wait]) -> Result<()> {
        let Some(first) = waits.first() else { return Ok(()) };
        let operation = Operation::Prolong(waits.iter().map(|wait| (wait.invitation, wait.end)).collect());
        let command = Command::new(first.organization.clone(), None, None, operation);
        self.app.submit_in_time(command).await.map(drop)
    }
}
