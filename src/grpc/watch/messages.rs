//! The messages of a stream, made as they are taken: a reader that takes none makes none.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;
use tonic::Status;

use crate::grpc::watches::Pulse;
use crate::pb;

pub(super) type Message = Result<pb::WatchEventsResponse, Status>;

/// Runs the stream's work in the task of whoever reads it. One message waits for its reader at most.
pub struct Messages {
    pulse: Arc<Pulse>,
    /// `None`: it has ended.
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    made: mpsc::Receiver<Message>,
}

impl Messages {
    pub(super) fn new<W>(pulse: Arc<Pulse>, work: impl FnOnce(mpsc::Sender<Message>) -> W) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let (out, made) = mpsc::channel(1);
        Self { pulse, work: Some(Box::pin(work(out))), made }
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

impl Stream for Messages {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.pulse.beat();
        if let Some(work) = &mut self.work
            && work.as_mut().poll(context).is_ready()
        {
            self.work = None;
        }
        self.made.poll_recv(context)
    }
}
