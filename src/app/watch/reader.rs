//! Reads new events for all watchers of this process: one statement for each organization that has changed.
//!
//! What this process writes it reads at once. What others write is asked for ten times a second, for all organizations in
//! one statement, and for none where nobody watches.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::hub::{Heard, Watched};
use super::page::{self, Place};
use crate::domain::OrganizationId;
use crate::store;
use crate::store::connection::Own;
use crate::store::events;

/// How often others are asked for.
const POLL: Duration = Duration::from_millis(100);
/// How long to wait after a failure, and how long at most after several.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// With a connection of its own.
pub(super) struct Reader {
    pub connection: Own,
    pub watched: Arc<Watched>,
    /// Woken when something is due; closed at the end.
    pub woken: mpsc::Receiver<()>,
}

impl Reader {
    /// Until the last handle of the hub is gone.
    pub async fn run(mut self) {
        let (mut next_poll, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let woken = if self.watched.is_empty() {
                self.woken.recv().await
            } else {
                // the time has come as well
                timeout_at(next_poll, self.woken.recv()).await.unwrap_or(Some(()))
            };
            if woken.is_none() {
                break;
            }
            let is_poll = Instant::now() >= next_poll && !self.watched.is_empty();
            if is_poll {
                next_poll = Instant::now() + POLL;
            }
            match self.round(is_poll, next_poll).await {
                Ok(()) => pause = FIRST_PAUSE,
                Err(error) => {
                    if pause == FIRST_PAUSE {
                        tracing::warn!(%error, "events cannot be read for those who watch: they wait");
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        self.connection.close().await;
    }

    /// Reads what is due until nothing is, or until then: what others write must not wait for what is written here.
    async fn round(&mut self, is_poll: bool, until: Instant) -> store::Result<()> {
        if is_poll {
            let (all, engine) = (self.watched.all(), self.connection.engine());
            let moved = self.connection.run(async |connection| events::moved(connection, &all, engine).await).await?;
            self.watched.set_due(moved.iter().map(|(id, _)| id));
        }
        loop {
            let due = self.watched.take_due();
            if due.is_empty() {
                return Ok(());
            }
            for (nth, (organization, position)) in due.iter().enumerate() {
                if let Err(error) = self.read(organization, *position).await {
                    self.watched.set_due(due[nth..].iter().map(|(id, _)| id));
                    return Err(error);
                }
            }
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    /// Tells the watchers of one organization a page; where there is more, it stays due.
    async fn read(&mut self, organization: &OrganizationId, position: i64) -> store::Result<()> {
        let place = Place { position, written: None };
        let read = self.connection.run(async |connection| page::after(connection, organization, place).await).await?;
        match read {
            Ok(page) if page.events.is_empty() => {}
            Ok(page) => {
                if !page.is_last() {
                    self.watched.set_due([organization]);
                }
                let end = page.end.position;
                self.watched.tell(organization, position, end, Heard::Page(Arc::new(page), Instant::now()));
            }
            // what is next is gone, or the position is from before a restore: begins anew from here
            Err(_) => {
                let newest = self.connection.run(async |connection| page::newest(connection, organization).await);
                let head = newest.await?.map_or(position, |page| page.head);
                self.watched.tell(organization, position, head, Heard::Look);
            }
        }
        Ok(())
    }
}
