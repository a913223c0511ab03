//! Follows the events of an organization: what was read for all who watch it, and by oneself what came before.
//!
//! Positions are given out under the lock of the organization's head, so whoever commits later has the higher ones, and none
//! is left out. A statement sees whole transactions. So what was read after a place up to the newest event is all that
//! happened, and ends where a transaction ended.

mod hub;
mod open;
mod page;
mod reader;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use hub::{Heard, Subscription};
use page::Page;
use reader::Reader;

pub use hub::Hub;
pub use page::Place;

use super::reading::read;
use super::{Error, Result};
use crate::domain::{Event, OrganizationId, Refusal, Timestamp};
use crate::store::connection::Own;
use crate::store::pool::Pool;
use crate::tasks::Tasks;

/// Streams that read by themselves at a time, of the connections for lists.
const READING: usize = 2;
/// How far a watcher may fall behind the others, in events.
const MAX_BEHIND: i64 = 10_000;
/// How long to wait after a read that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// What all watchers of a process share.
#[derive(Clone, Debug)]
pub(super) struct Watchers {
    pub hub: Hub,
    reading: Arc<Semaphore>,
}

impl Watchers {
    /// Starts the reader; it ends with the last handle.
    pub fn start(connection: Own, tasks: &Tasks) -> Self {
        let (hub, woken) = Hub::new();
        let reader = Reader { connection, watched: hub.watched(), woken };
        tasks.watch("event reader", reader.run());
        Self { hub, reading: Arc::new(Semaphore::new(READING)) }
    }
}

/// Somebody who follows the events of an organization.
#[derive(Debug)]
pub struct Follower {
    organization: OrganizationId,
    reads: Pool,
    reading: Arc<Semaphore>,
    subscription: Subscription,
    place: Place,
    /// Read and not taken yet.
    ready: Option<Page>,
    /// Whether others have heard more than has been read here.
    is_behind: bool,
}

/// What happened after a place.
#[derive(Debug)]
pub struct Happened {
    page: Arc<Page>,
    after: i64,
    /// When it was heard; `None`: it was read later than when it happened.
    heard: Option<Instant>,
}

impl Happened {
    /// Oldest first.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.page.events.iter().filter(|event| event.position > self.after)
    }

    /// How long ago the newest one was decided, where it was waited for.
    pub fn delay(&self) -> Option<Duration> {
        let newest: Timestamp = self.page.events.last()?.create_time;
        let before = Duration::try_from(self.page.now - newest).unwrap_or_default();
        self.heard.map(|heard| before + heard.elapsed())
    }
}

impl Follower {
    /// Up to where was told.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Waits for what happens next. Whoever stops waiting misses nothing.
    ///
    /// # Errors
    ///
    /// What is next is not there any more, or others are too far ahead.
    pub async fn next(&mut self) -> Result<Happened> {
        loop {
            if let Some(page) = self.ready.take() {
                return Ok(self.tell(Arc::new(page), None));
            }
            if self.is_behind {
                let page = self.read_on().await?;
                self.is_behind = !page.is_last();
                self.ready = Some(page).filter(|page| !page.events.is_empty());
                continue;
            }
            match self.subscription.next().await {
                Some(Heard::Page(page, _)) if page.end.position <= self.place.position => {}
                Some(Heard::Page(page, heard)) if page.after <= self.place.position => {
                    return Ok(self.tell(page, Some(heard)));
                }
                missed => {
                    let behind = self.subscription.position() - self.place.position;
                    if missed.is_none() && behind > MAX_BEHIND {
                        return Err(Refusal::WatcherTooSlow.into());
                    }
                    self.is_behind = true;
                }
            }
        }
    }

    fn tell(&mut self, page: Arc<Page>, heard: Option<Instant>) -> Happened {
        let after = self.place.position;
        self.place = page.end;
        Happened { page, after, heard }
    }

    /// One page by itself; whatever is away is waited for.
    async fn read_on(&self) -> Result<Page> {
        loop {
            let place = self.reading.acquire().await;
            let read = self.try_read_on().await;
            drop(place);
            match read {
                Err(Error::Overloaded | Error::Unavailable) => sleep(PAUSE).await,
                read => return read,
            }
        }
    }

    async fn try_read_on(&self) -> Result<Page> {
        let Self { organization, place, reads, .. } = self;
        Ok(read!(reads, connection, page::after(&mut connection, organization, *place))??)
    }
}
