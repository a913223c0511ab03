//! Erases deleted accounts from what stays.

use tokio_util::sync::CancellationToken;

use super::{SHORTEST_DELAY, Sweeper, Swept};
use crate::store::erasures;

/// Deleted accounts and their addresses that are looked at together.
const LOOK: i64 = 64;
/// Invitations that are erased together.
const ROUND: i64 = 256;

impl Sweeper {
    /// Until nothing is due. What cannot be erased is put off or, where that fails, is the next turn's.
    pub(super) async fn erase_deleted(&self, swept: &mut Swept, end: &CancellationToken) {
        let delay = self.retention.erasure_delay.max(SHORTEST_DELAY);
        while !end.is_cancelled() {
            let due = match self.ask(end, async |c| erasures::due(c, delay, LOOK).await).await {
                Ok(due) if due.is_empty() => return,
                Ok(due) => due,
                Err(error) => return swept.fail(&error),
            };
            let failures = swept.failures;
            for erasure in due {
                loop {
                    match self.ask(end, async |c| erasures::round(c, &erasure, delay, ROUND).await).await {
                        Ok(Some(rows)) => swept.round(rows),
                        Ok(None) => break,
                        Err(error) => {
                            swept.fail(&error);
                            break;
                        }
                    }
                }
            }
            if swept.failures > failures {
                return;
            }
        }
    }
}
