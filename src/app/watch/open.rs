//! Begins to follow an organization, for whoever may.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::Follower;
use super::page::{self, Place};
use crate::app::callers::Call;
use crate::app::reading::read;
use crate::app::{App, Result};
use crate::domain::{Method, OrganizationId, Subject};

impl App {
    /// Whether the caller may watch the organization.
    pub fn check_watcher(&self, call: &Call, organization: &OrganizationId) -> Result<()> {
        call.admitted(Method::WatchEvents, organization, &Subject::Organization)?;
        Ok(())
    }

    /// Follows the events after a place, or from now on.
    pub async fn follow(&self, organization: OrganizationId, place: Option<Place>) -> Result<Follower> {
        let page = read!(self.reads, connection, async {
            match place {
                None => page::newest(&mut connection, &organization).await,
                Some(place) => page::after(&mut connection, &organization, place).await,
            }
        })??;
        let (subscription, position) = self.watchers.hub.subscribe(&organization, page.head);
        Ok(Follower {
            organization,
            reads: self.reads.clone(),
            reading: Arc::clone(&self.watchers.reading),
            subscription,
            place: place.unwrap_or(page.end),
            is_behind: position > page.end.position,
            ready: Some(page).filter(|page| !page.events.is_empty()),
        })
    }

    /// Waits until a stream may read by itself: as long as it holds the permit, few others do.
    pub async fn stream_turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.watchers.reading).acquire_owned().await.ok()
    }
}
