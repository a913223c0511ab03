//! One stream of events from its first message to its end.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::{Code, Status};

use super::messages::Message;
use crate::app::{Call, Follower, Happened};
use crate::domain::{EventFilter, Method, OrganizationId, Refusal};
use crate::grpc::accept::jittered;
use crate::grpc::resume_token::Stream;
use crate::grpc::watches::{Place, Pulse};
use crate::grpc::{Api, encode, status};
use crate::pb::WatchEventsResponse;

/// How long to wait before it is asked again who calls, where that cannot be told …
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// … and for how long; nothing is sent meanwhile.
const UNKNOWN_FOR: Duration = Duration::from_mins(1);

/// An open stream.
pub(super) struct Watching {
    pub api: Api,
    pub place: Place,
    /// The token.
    pub headers: HeaderMap,
    pub organization: OrganizationId,
    /// Its name.
    pub parent: String,
    pub filter: EventFilter,
    pub filter_text: String,
    pub follower: Follower,
    /// The client's.
    pub deadline: Option<Instant>,
}

/// Why a stream ends in peace.
#[derive(Clone, Copy, Debug)]
enum End {
    Age,
    Deadline,
    Shutdown,
    /// Nobody takes messages any more.
    Left,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Deadline => "deadline",
            Self::Shutdown => "shutdown",
            Self::Left => "left",
        }
    }
}

/// Counts the end, also of a stream that is dropped in the middle.
struct Ending {
    cause: &'static str,
    pulse: Arc<Pulse>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let cause = if self.pulse.is_too_slow() { "too_slow" } else { self.cause };
        metrics::counter!("invitations_watch_ends_total", "cause" => cause).increment(1);
    }
}

impl Watching {
    /// Sends messages until the end. `initial`: first the present state, as this call sees it.
    pub async fn run(mut self, initial: Option<Call>, out: Sender<Message>) {
        let mut ending = Ending { cause: End::Left.as_str(), pulse: Arc::clone(&self.place.pulse) };
        match self.go_on(initial, &out).await {
            Ok(end) => {
                ending.cause = end.as_str();
                out.send(Ok(self.checkpoint())).await.ok();
            }
            Err(refused) => {
                ending.cause = "refused";
                out.send(Err(refused)).await.ok();
            }
        }
    }

    async fn go_on(&mut self, initial: Option<Call>, out: &Sender<Message>) -> Result<End, Status> {
        let watches = self.api.watches.clone();
        let settings = watches.settings();
        let (mut ends, mut cause) = (Instant::now() + jittered(settings.max_age), End::Age);
        if let Some(deadline) = self.deadline.filter(|deadline| *deadline < ends) {
            (ends, cause) = (deadline, End::Deadline);
        }
        if let Some(call) = initial {
            // without all of it a token would be worth nothing: it comes to its end
            self.send_initial(call, out).await?;
        }
        let mut message = self.checkpoint();
        let mut look = watches.next_look(Instant::now());
        loop {
            if self.place.pulse.is_too_slow() {
                return Err(status::from_refusal(Refusal::WatcherTooSlow));
            }
            if out.send(Ok(message)).await.is_err() {
                return Ok(End::Left);
            }
            let sent = Instant::now();
            message = loop {
                tokio::select! {
                    biased;
                    () = watches.ending().cancelled() => return Ok(End::Shutdown),
                    () = sleep_until(ends) => return Ok(cause),
                    () = sleep_until(look) => {
                        look = watches.next_look(Instant::now());
                        self.ask_again().await?;
                        // what is sent at the next look would be too late
                        if sent.elapsed() > settings.checkpoint / 3 {
                            break self.checkpoint();
                        }
                    }
                    happened = self.follower.next() => {
                        if let Some(message) = self.message(&happened.map_err(status::from_error)?) {
                            break message;
                        }
                    }
                }
            };
        }
    }

    /// Whether the caller still may, as if the stream were opened now. Where that cannot be told, nothing is sent.
    pub(super) async fn ask_again(&self) -> Result<Call, Status> {
        let (watches, began) = (&self.api.watches, Instant::now());
        loop {
            let turn = watches.asking().acquire().await;
            let call = self.api.stream_reader(Method::WatchEvents, &self.headers, &self.parent).await;
            drop(turn);
            match call {
                Err(unknown)
                    if [Code::Unavailable, Code::ResourceExhausted].contains(&unknown.code())
                        && began.elapsed() < UNKNOWN_FOR =>
                {
                    tokio::select! {
                        () = sleep(ASK_AGAIN) => {}
                        () = watches.ending().cancelled() => return Err(unknown),
                    }
                }
                call => {
                    let call = call?;
                    self.api.app.check_watcher(&call, &self.organization).map_err(status::from_error)?;
                    return Ok(call);
                }
            }
        }
    }

    /// What of it is to be seen; `None`: nothing.
    fn message(&self, happened: &Happened) -> Option<WatchEventsResponse> {
        let wanted = happened.events().filter(|event| self.filter.passes(event));
        let events = wanted.map(|event| encode::event(&self.organization, event.clone())).collect::<Vec<_>>();
        if events.is_empty() {
            return None;
        }
        if let Some(delay) = happened.delay() {
            metrics::histogram!("invitations_watch_delay_seconds").record(delay);
        }
        Some(WatchEventsResponse { events, ..self.checkpoint() })
    }

    fn checkpoint(&self) -> WatchEventsResponse {
        let stream = Stream { organization: &self.organization, filter: &self.filter_text };
        WatchEventsResponse { resume_token: stream.write(self.follower.place()), ..WatchEventsResponse::default() }
    }
}
