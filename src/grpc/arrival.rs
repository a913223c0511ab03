//! Requests that have not arrived to their end: so many at a time, and for one more the oldest gives way.
//!
//! A request arrives within milliseconds of its headers; one that takes longer holds memory for as long as its sender
//! likes. Whoever opens calls without an end pushes out their own: nobody else's is the oldest for long enough.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::{BodyStream, StreamBody};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tonic::Status;
use tonic::body::Body;

use super::status;
use crate::app;

/// Those that are on their way. Clones share the limit.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    open: Arc<Mutex<Open>>,
    max: usize,
}

/// By age. Dropping a sender tells its request to give way.
#[derive(Default, Debug)]
struct Open {
    next: u64,
    requests: BTreeMap<u64, oneshot::Sender<()>>,
}

impl Arrivals {
    pub(super) fn new(max: usize) -> Self {
        Self { open: Arc::default(), max }
    }

    /// The body of a request, which counts until it has ended or is no longer wanted, and ends with RESOURCE_EXHAUSTED
    /// where it has to give way.
    pub(super) fn admit(&self, body: Incoming) -> Body {
        let (place, gives_way) = self.take_place();
        let mut gives_way = gives_way.fuse();
        let mut frames = BodyStream::new(body);
        Body::new(StreamBody::new(stream::poll_fn(move |context| {
            let _held_by_the_body = &place;
            if gives_way.poll_unpin(context).is_ready() {
                return Some(Err(status::from_error(app::Error::Overloaded))).into();
            }
            let frame = frames.poll_next_unpin(context);
            frame.map_err(|error| Status::from_error(error.into()))
        })))
    }

    fn take_place(&self) -> (Place, oneshot::Receiver<()>) {
        let (stays, gives_way) = oneshot::channel();
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        open.requests.insert(number, stays);
        if open.requests.len() > self.max {
            open.requests.pop_first();
        }
        drop(open);
        (Place { arrivals: self.clone(), number }, gives_way)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one request counts as.
#[derive(Debug)]
struct Place {
    arrivals: Arrivals,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.arrivals.open().requests.remove(&self.number);
    }
}
