//! The messages of a stream, made as they are taken: a reader that takes none makes none.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep};
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
    /// Wakes whoever reads now and then, whatever the work waits for: who comes then is no slow reader.
    next_beat: Pin<Box<Sleep>>,
    beat: Duration,
}

impl Messages {
    pub(super) fn new<W>(pulse: Arc<Pulse>, beat: Duration, work: impl FnOnce(mpsc::Sender<Message>) -> W) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let (out, made) = mpsc::channel(1);
        Self { pulse, work: Some(Box::pin(work(out))), made, next_beat: Box::pin(sleep(beat)), beat }
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
        while self.next_beat.as_mut().poll(context).is_ready() {
            let next = Instant::now() + self.beat;
            self.next_beat.as_mut().reset(next);
        }
        if let Some(work) = &mut self.work
            && work.as_mut().poll(context).is_ready()
        {
            self.work = None;
        }
        self.made.poll_recv(context)
    }
}
