//! Which organizations the writers of this process are at work on. They wait for each other here, so that only what
//! others have locked counts as locked in the database.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::domain::OrganizationId;

/// Longer than a transaction takes. Past it the database says what is locked.
const LIMIT: Duration = Duration::from_millis(100);

/// Clones share the organizations.
#[derive(Clone, Default, Debug)]
pub(super) struct Held(Arc<Shared>);

#[derive(Default, Debug)]
struct Shared {
    organizations: Mutex<BTreeSet<OrganizationId>>,
    released: Notify,
}

/// The organizations of one writer, until this is dropped.
pub(super) struct Taken {
    held: Held,
    own: BTreeSet<OrganizationId>,
}

impl Held {
    /// Waits until no other writer has one of them, for at most 100 ms.
    pub async fn take(&self, wanted: BTreeSet<OrganizationId>) -> Taken {
        let all = async {
            loop {
                let released = self.0.released.notified();
                if self.change(|held| held.is_disjoint(&wanted) && add(held, &wanted)) {
                    break;
                }
                released.await;
            }
        };
        if timeout(LIMIT, all).await.is_ok() {
            return Taken { held: self.clone(), own: wanted };
        }
        // what another one has stays theirs
        let own = self.change(|held| {
            let own = wanted.difference(held).cloned().collect();
            add(held, &own);
            own
        });
        Taken { held: self.clone(), own }
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeSet<OrganizationId>) -> T) -> T {
        change(&mut self.0.organizations.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn add(held: &mut BTreeSet<OrganizationId>, own: &BTreeSet<OrganizationId>) -> bool {
    held.extend(own.iter().cloned());
    true
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.held.change(|held| held.retain(|organization| !self.own.contains(organization)));
        self.held.0.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organizations(ids: &[&str]) -> BTreeSet<OrganizationId> {
        ids.iter().map(|id| OrganizationId::stored((*id).to_owned())).collect()
    }

    #[tokio::test]
    async fn one_waits_for_the_other_only_where_they_share_an_organization() {
        let held = Held::default();
        let first = held.take(organizations(&["acme", "beta"])).await;
        let other = held.take(organizations(&["gamma"])).await;
        assert_eq!(other.own, organizations(&["gamma"]));
        drop(other);
        let (second, ()) = tokio::join!(held.take(organizations(&["beta", "gamma"])), async {
            tokio::task::yield_now().await;
            drop(first);
        });
        assert_eq!(second.own, organizations(&["beta", "gamma"]));
        drop(second);
        assert!(held.change(|held| held.is_empty()));
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_and_what_another_one_has_stays_theirs() {
        let held = Held::default();
        let stuck = held.take(organizations(&["acme"])).await;
        let late = held.take(organizations(&["acme", "beta"])).await;
        assert_eq!(late.own, organizations(&["beta"]));
        drop(late);
        assert!(held.change(|held| *held == organizations(&["acme"])));
        drop(stuck);
    }
}
