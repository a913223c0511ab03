//! What waits is done together: while a worker is busy, what arrives waits in its queue and goes into the next round.
//! Nobody waits where nothing is under way, and nothing is kept from one round to the next.

use std::fmt;

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::error::{Error, Result};

/// The most that goes into one round.
pub(super) const ROUND: usize = 256;
/// The most that waits for one worker; past it the service is overloaded and says so.
const QUEUE: usize = 1024;

/// Does what waits, with a connection of its own.
pub(super) trait Worker: Send + 'static {
    type Task: Send + 'static;
    type Outcome: Send + 'static;

    /// One outcome for each task, in their order.
    fn work(&mut self, tasks: Vec<Self::Task>) -> impl Future<Output = Vec<Result<Self::Outcome>>> + Send;

    /// There will be no more tasks.
    fn end(self) -> impl Future<Output = ()> + Send;
}

/// Hands tasks to a worker.
pub(super) struct Queue<W: Worker> {
    tasks: mpsc::Sender<Waiting<W>>,
}

/// A task and who waits for its outcome; `None`: nobody.
type Waiting<W> = (<W as Worker>::Task, Option<oneshot::Sender<Result<<W as Worker>::Outcome>>>);

impl<W: Worker> Queue<W> {
    /// Starts the worker; it ends when the last handle is gone and what was queued is done.
    pub fn start(mut worker: W, tracker: &TaskTracker) -> Self {
        let (tasks, mut queue) = mpsc::channel::<Waiting<W>>(QUEUE);
        tracker.spawn(async move {
            let mut waiting = Vec::with_capacity(ROUND);
            while queue.recv_many(&mut waiting, ROUND).await > 0 {
                // a caller that has left leaves nothing behind
                let has_left = |reply: &oneshot::Sender<_>| reply.is_closed();
                let awaited = waiting.drain(..).filter(|(_, reply)| !reply.as_ref().is_some_and(has_left));
                let (tasks, replies): (Vec<_>, Vec<_>) = awaited.unzip();
                if tasks.is_empty() {
                    continue;
                }
                for (reply, outcome) in replies.into_iter().zip(worker.work(tasks).await) {
                    // whoever left meanwhile finds the outcome by the request id
                    reply.map(|reply| reply.send(outcome));
                }
            }
            worker.end().await;
        });
        Self { tasks }
    }

    /// Has a task done and waits for the outcome.
    pub async fn ask(&self, task: W::Task) -> Result<W::Outcome> {
        let (reply, outcome) = oneshot::channel();
        self.tasks.try_send((task, Some(reply))).map_err(|_| Error::Overloaded)?;
        outcome.await.unwrap_or(Err(Error::Fault))
    }

    /// Has a task done after those that were handed over before, and does not wait for it.
    pub fn tell(&self, task: W::Task) -> Result<()> {
        self.tasks.try_send((task, None)).map_err(|_| Error::Overloaded)
    }
}

impl<W: Worker> Clone for Queue<W> {
    fn clone(&self) -> Self {
        Self { tasks: self.tasks.clone() }
    }
}

impl<W: Worker> fmt::Debug for Queue<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("waiting", &(QUEUE - self.tasks.capacity())).finish()
    }
}
