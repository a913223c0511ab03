//! Which code keys some replica has: each reports its own. A code whose key only this replica lacks is for another one; a
//! code whose key nobody has counts for nothing.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::reading::read;
use super::{App, Result};
use crate::store::key_checks;

/// Much shorter than [`key_checks::GONE_AFTER`].
const REPORT_EVERY: Duration = Duration::from_mins(1);

impl App {
    /// Reports the code keys of this replica until it is told to stop.
    pub async fn report_keys(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.report_keys_once().await {
                tracing::warn!(?error, "the code keys of this replica could not be reported");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(REPORT_EVERY) => {}
            }
        }
    }

    async fn report_keys_once(&self) -> Result<()> {
        let mut connection = self.writes.acquire().await?;
        for key in self.deployment.code_keys.all() {
            key_checks::report(&mut connection, &key.id).await?;
        }
        Ok(())
    }

    /// Whether some replica has that code key.
    pub(super) async fn is_key_held(&self, key: &str) -> Result<bool> {
        Ok(read!(self.reads, connection, key_checks::is_held(&mut connection, key))?)
    }
}
