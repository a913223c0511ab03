//! The present state of an organization, page by page, as its readers see it.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::messages::Message;
use super::stream::Watching;
use crate::app::{Call, Error, InvitationFilter};
use crate::domain::{InvitationId, InvitationSearch, InvitationState};
use crate::grpc::{encode, page, status};
use crate::pb::WatchEventsResponse;

/// Members or invitations that are read at a time.
const PAGE: usize = 100;
/// How long to wait after a read that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// What is read in turn with other streams; whatever is away is waited for. No closure can lend what its future borrows
/// (rust-lang/rust#100013).
macro_rules! in_turn {
    ($app:expr, $reading:expr) => {
        loop {
            let turn = $app.stream_turn().await;
            let found = $reading.await;
            drop(turn);
            match found {
                Err(Error::Overloaded | Error::Unavailable) => sleep(PAUSE).await,
                found => break found.map_err(status::from_error)?,
            }
        }
    };
}

impl Watching {
    /// Sends the organization, its members and its open invitations, without a token. The follower's place is from before.
    pub(super) async fn send_initial(&self, mut call: Call, out: &Sender<Message>) -> Result<(), Status> {
        let (app, id) = (&self.api.app, &self.organization);
        let mut look = self.api.watches.next_look(Instant::now());
        let organization = Some(encode::organization(in_turn!(app, app.organization(&call, id))));
        send(out, WatchEventsResponse { organization, ..WatchEventsResponse::default() }).await?;
        let mut after = None;
        loop {
            self.ask_in_time(&mut look, &mut call).await?;
            let found = in_turn!(app, app.members(&call, id, after.clone(), PAGE));
            let (members, next) = page::encode(found, encode::member);
            send(out, WatchEventsResponse { members, ..WatchEventsResponse::default() }).await?;
            after = next;
            if after.is_none() {
                break;
            }
        }
        let mut before = None;
        loop {
            self.ask_in_time(&mut look, &mut call).await?;
            let found = in_turn!(app, app.invitations(&call, id, open(before)));
            let (invitations, next) = page::encode(found, encode::invitation);
            if !invitations.is_empty() {
                send(out, WatchEventsResponse { invitations, ..WatchEventsResponse::default() }).await?;
            }
            before = next;
            if before.is_none() {
                return Ok(());
            }
        }
    }

    async fn ask_in_time(&self, look: &mut Instant, call: &mut Call) -> Result<(), Status> {
        if Instant::now() >= *look {
            *look = self.api.watches.next_look(Instant::now());
            *call = self.ask_again().await?;
        }
        Ok(())
    }
}

/// Who has left asks for nothing more.
async fn send(out: &Sender<Message>, message: WatchEventsResponse) -> Result<(), Status> {
    out.send(Ok(message)).await.map_err(|_| Status::cancelled("nobody reads it"))
}

fn open(before: Option<InvitationId>) -> InvitationFilter {
    let states = InvitationState::ALL.into_iter().filter(|state| state.is_open()).collect();
    InvitationFilter { search: Some(InvitationSearch { states, ..Default::default() }), before, size: PAGE }
}
