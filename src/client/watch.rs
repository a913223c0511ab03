//! WatchEvents beyond the end of one stream.

use std::time::Duration;

use tokio::time::sleep;
use tonic::{Code, Status, Streaming};

use super::connection::Client;
use super::details::Details;
use crate::pb::{WatchEventsRequest, WatchEventsResponse};

/// The wait before the next stream where the last one gave nothing: doubled each time, up to the longest one.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// An organization's events, over as many streams as it takes: each goes on after the newest token.
#[derive(Debug)]
pub struct Events {
    client: Client,
    request: WatchEventsRequest,
    stream: Option<Streaming<WatchEventsResponse>>,
    wait: Duration,
}

impl Client {
    /// Nothing is sent before the first message is asked for.
    pub fn watch(&self, request: WatchEventsRequest) -> Events {
        Events { client: self.clone(), request, stream: None, wait: Duration::ZERO }
    }
}

impl Events {
    /// The next message; a future that is dropped loses none. Fails where the next stream would fail the same way, such as
    /// with UNAUTHENTICATED once the token is too old, or OUT_OF_RANGE once the resume token is.
    pub async fn next(&mut self) -> Result<WatchEventsResponse, Status> {
        loop {
            let told = match self.message().await {
                Ok(Some(message)) => {
                    self.wait = Duration::ZERO;
                    if !message.resume_token.is_empty() {
                        self.request.resume_token.clone_from(&message.resume_token);
                        self.request.send_initial = false;
                    }
                    return Ok(message);
                }
                Ok(None) => None,
                Err(status) if is_final(status.code()) => return Err(status),
                Err(status) => Details::from(&status).retry_after,
            };
            self.stream = None;
            sleep(told.unwrap_or(self.wait)).await;
            self.wait = (self.wait * 2).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        }
    }

    /// What goes on where this is: for another client, such as one with a fresh token.
    pub fn request(&self) -> &WatchEventsRequest {
        &self.request
    }

    async fn message(&mut self) -> Result<Option<WatchEventsResponse>, Status> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(self.client.organizations().watch_events(self.request.clone()).await?.into_inner()),
        };
        stream.message().await
    }
}

/// Whether the next stream would fail the same way.
fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::OutOfRange
            | Code::FailedPrecondition
            | Code::Unimplemented
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::NotFound
    )
}
