//! What one owner has changed and another one has yet to approve, because it asks less of people than before.

use time::Duration;

use super::{Actor, DAY, PolicyEdit, Timestamp};

/// After it the change ends without effect.
const LIFETIME: Duration = Duration::days(7);
/// How long one owner alone has to wait.
const ONE_OWNER_WAIT: Duration = DAY;

/// A change that waits; there is one at a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingChange {
    /// The fields that wait.
    pub policy: PolicyEdit,
    pub author: Actor,
    pub create_time: Timestamp,
    /// When it takes effect by itself; `None`: there is another owner, who may approve it.
    pub effective_time: Option<Timestamp>,
}

impl PendingChange {
    /// By one of so many owners.
    pub(super) fn new(policy: PolicyEdit, author: Actor, owners: i32, now: Timestamp) -> Self {
        Self { policy, author, create_time: now, effective_time: alone_at(owners, now) }
    }

    /// When it is over, and whether it takes effect then; `None`: it still waits at that moment.
    pub fn outcome(&self, now: Timestamp) -> Option<(Timestamp, bool)> {
        let (effective, over) = (self.effective_time, self.expire_time());
        let moment = effective.unwrap_or(over).min(over);
        (moment <= now).then_some((moment, effective == Some(moment)))
    }

    /// When it ends, unless it has taken effect before.
    pub fn expire_time(&self) -> Timestamp {
        self.create_time + LIFETIME
    }
}

/// When what the one owner wants takes effect, as nobody can approve it.
pub(super) fn alone_at(owners: i32, now: Timestamp) -> Option<Timestamp> {
    (owners == 1).then(|| now + ONE_OWNER_WAIT)
}
