//! Who watches which organization, and how they hear of what was read for all of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;

use super::page::Page;
use crate::domain::OrganizationId;

/// Pages that are kept for watchers of an organization who have not taken them yet. Whoever falls behind them reads on
/// by themselves.
const KEPT: usize = 16;

/// What watchers of one organization hear.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// The next events.
    Page(Arc<Page>, Instant),
    /// What is next cannot be told to all: each has to look by themselves.
    Look,
}

/// Clones share it. The reader ends when the last one is gone.
#[derive(Clone)]
pub struct Hub {
    watched: Arc<Watched>,
    wake: mpsc::Sender<()>,
}

/// By organization.
#[derive(Default)]
pub(super) struct Watched(Mutex<HashMap<OrganizationId, Entry>>);

struct Entry {
    /// Up to where was read for all.
    position: i64,
    /// Whether more has been written, as far as is known here.
    is_due: bool,
    watchers: broadcast::Sender<Heard>,
}

impl Hub {
    /// The second part is woken when something is due, and closed with the last handle.
    pub(super) fn new() -> (Self, mpsc::Receiver<()>) {
        let (wake, woken) = mpsc::channel(1);
        (Self { watched: Arc::default(), wake }, woken)
    }

    pub(super) fn watched(&self) -> Arc<Watched> {
        Arc::clone(&self.watched)
    }

    /// A transaction of this process has written events of these organizations.
    pub fn note<'a>(&self, organizations: impl IntoIterator<Item = &'a OrganizationId>) {
        let mut watched = self.watched.lock();
        let mut is_any = false;
        for id in organizations {
            if let Some(entry) = watched.get_mut(id) {
                entry.is_due = true;
                is_any = true;
            }
        }
        drop(watched);
        if is_any {
            self.wake.try_send(()).ok();
        }
    }

    /// Joins those who watch an organization, and says up to where was read for them. The first one says it itself.
    pub(super) fn subscribe(&self, organization: &OrganizationId, position: i64) -> (Subscription, i64) {
        let mut watched = self.watched.lock();
        let is_first = watched.is_empty();
        let entry = watched.entry(organization.clone());
        let entry = entry.or_insert_with(|| Entry { position, is_due: false, watchers: broadcast::Sender::new(KEPT) });
        let (heard, position) = (Some(entry.watchers.subscribe()), entry.position);
        drop(watched);
        if is_first {
            self.wake.try_send(()).ok();
        }
        (Subscription { organization: organization.clone(), hub: self.clone(), heard }, position)
    }
}

impl Watched {
    /// All with their positions.
    pub fn all(&self) -> Vec<(OrganizationId, i64)> {
        self.lock().iter().map(|(id, entry)| (id.clone(), entry.position)).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Those of which more is to be read, which are not due any more then.
    pub fn take_due(&self) -> Vec<(OrganizationId, i64)> {
        let mut watched = self.lock();
        let due = watched.iter_mut().filter(|(_, entry)| entry.is_due);
        due.map(|(id, entry)| {
            entry.is_due = false;
            (id.clone(), entry.position)
        })
        .collect()
    }

    pub fn set_due<'a>(&self, organizations: impl IntoIterator<Item = &'a OrganizationId>) {
        let mut watched = self.lock();
        for id in organizations {
            if let Some(entry) = watched.get_mut(id) {
                entry.is_due = true;
            }
        }
    }

    /// Tells all watchers of an organization what came after a position, unless others watch it by now from elsewhere.
    pub fn tell(&self, organization: &OrganizationId, after: i64, position: i64, heard: Heard) {
        let mut watched = self.lock();
        if let Some(entry) = watched.get_mut(organization).filter(|entry| entry.position == after) {
            entry.position = position;
            entry.watchers.send(heard).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OrganizationId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One watcher of an organization, until it is dropped.
pub(super) struct Subscription {
    organization: OrganizationId,
    hub: Hub,
    /// There until it is dropped.
    heard: Option<broadcast::Receiver<Heard>>,
}

impl Subscription {
    /// The next thing that all hear; `None`: some of it was missed.
    pub async fn next(&mut self) -> Option<Heard> {
        self.heard.as_mut()?.recv().await.ok()
    }

    /// Up to where was read for all.
    pub fn position(&self) -> i64 {
        self.hub.watched.lock().get(&self.organization).map_or(0, |entry| entry.position)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut watched = self.hub.watched.lock();
        self.heard = None;
        if watched.get(&self.organization).is_some_and(|entry| entry.watchers.receiver_count() == 0) {
            watched.remove(&self.organization);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("organization", &self.organization).finish_non_exhaustive()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::watch::page::Place;
    use crate::domain::Timestamp;

    fn acme() -> OrganizationId {
        OrganizationId::parse("acme").unwrap()
    }

    fn page(after: i64, position: i64) -> Heard {
        let end = Place { position, written: None };
        let page = Page { after, events: Vec::new(), end, head: position, now: Timestamp::UNIX_EPOCH };
        Heard::Page(Arc::new(page), Instant::now())
    }

    #[tokio::test]
    async fn all_watchers_hear_what_was_read_once_and_the_last_one_ends_it() {
        let (hub, _woken) = Hub::new();
        let watched = hub.watched();
        let (mut first, at) = hub.subscribe(&acme(), 4);
        let (mut second, same) = hub.subscribe(&acme(), 7);
        assert_eq!((at, same), (4, 4), "the second one has to skip what it has");
        hub.note([&acme()]);
        assert_eq!(watched.take_due(), [(acme(), 4)]);
        assert!(watched.take_due().is_empty());
        watched.tell(&acme(), 4, 9, page(4, 9));
        // what was read from elsewhere is nothing to these
        watched.tell(&acme(), 4, 12, page(4, 12));
        for watcher in [&mut first, &mut second] {
            let Some(Heard::Page(page, _)) = watcher.next().await else { panic!("a page") };
            assert_eq!(page.end.position, 9);
        }
        drop(first);
        assert_eq!(watched.all(), [(acme(), 9)]);
        drop(second);
        assert!(watched.is_empty());
    }

    #[tokio::test]
    async fn whoever_falls_behind_hears_that_and_holds_nobody_up() {
        let (hub, _woken) = Hub::new();
        let (mut slow, _) = hub.subscribe(&acme(), 0);
        let (mut quick, _) = hub.subscribe(&acme(), 0);
        for position in 1..=i64::try_from(KEPT).unwrap() + 1 {
            hub.watched().tell(&acme(), position - 1, position, page(position - 1, position));
            assert!(quick.next().await.is_some());
        }
        assert!(slow.next().await.is_none());
    }

    #[tokio::test]
    async fn the_reader_is_woken_for_what_somebody_watches() {
        let (hub, mut woken) = Hub::new();
        hub.note([&acme()]);
        assert!(woken.try_recv().is_err());
        let watcher = hub.subscribe(&acme(), 0);
        woken.try_recv().unwrap();
        hub.note([&acme()]);
        woken.try_recv().unwrap();
        drop((watcher, hub));
        assert!(woken.recv().await.is_none(), "the last handle is gone");
    }
}
