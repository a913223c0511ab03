//! What waits is done together: while a worker is busy, what arrives waits in its queue and goes into the next round.
//! Nobody waits where nothing is under way, and nothing is kept from one round to the next.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::error::{Error, Result};
use crate::tasks::Tasks;

/// The most that goes into one round.
pub(super) const ROUND: usize = 256;
/// The most that waits for one worker; past it the service is overloaded and says so.
const QUEUE: usize = 1024;

/// How long a round keeps the others of its queue from beginning theirs, unless it passes the turn on before.
const PATIENCE: Duration = Duration::from_millis(20);

/// What has waited longer for its round shows that more comes than can be done.
const BEHIND: Duration = Duration::from_secs(1);

/// Does what waits, with a connection of its own.
pub(super) trait Worker: Send + 'static {
    /// As the log calls it.
    const NAME: &'static str;
    type Task: Send + 'static;
    type Outcome: Send + 'static;

    /// Whether a task goes into the round of the first one; what does not stays for the next round.
    fn goes_with(&self, _first: &Self::Task, _other: &Self::Task) -> bool {
        true
    }

    /// One outcome for each task, in their order.
    fn work(&mut self, tasks: Vec<Self::Task>, turn: &Turn) -> impl Future<Output = Vec<Result<Self::Outcome>>> + Send;

    /// There will be no more tasks.
    fn end(self) -> impl Future<Output = ()> + Send;
}

/// Of the workers of one queue one has the turn, so that what waits goes into one round and not into several.
pub(super) struct Turn(Mutex<Option<OwnedMutexGuard<()>>>);

impl Turn {
    /// The next worker may take what waits by now: what is left of this round is waiting for the disk.
    pub fn pass(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Hands tasks to workers.
pub(super) struct Queue<W: Worker> {
    tasks: mpsc::Sender<Waiting<W>>,
    is_behind: Arc<AtomicBool>,
}

struct Waiting<W: Worker> {
    task: W::Task,
    /// `None`: nobody waits for the outcome.
    reply: Option<oneshot::Sender<Result<W::Outcome>>>,
    since: Instant,
}

impl<W: Worker> Waiting<W> {
    fn is_over(&self) -> bool {
        self.reply.as_ref().is_some_and(oneshot::Sender::is_closed)
    }
}

/// What waits, for whichever worker has the turn.
struct Waitlist<W: Worker> {
    tasks: AsyncMutex<Arrived<W>>,
    turn: Arc<AsyncMutex<()>>,
}

/// What waits, oldest first.
struct Arrived<W: Worker> {
    /// Taken from the queue for a round that it did not go into.
    left: Vec<Waiting<W>>,
    queue: mpsc::Receiver<Waiting<W>>,
    /// Whether the first one of the last round had waited too long, and somebody has waited since.
    is_behind: Arc<AtomicBool>,
}

impl<W: Worker> Arrived<W> {
    /// The next round, as soon as there is one; `None`: there will be no more tasks. A caller that has left leaves
    /// nothing behind. `worker` is lent as what can be sent.
    async fn next_round(&mut self, worker: &mut W) -> Option<Vec<Waiting<W>>> {
        loop {
            self.left.retain(|waiting| !waiting.is_over());
            if self.left.is_empty() {
                if self.queue.is_empty() {
                    self.is_behind.store(false, Ordering::Relaxed);
                }
                if self.queue.recv_many(&mut self.left, ROUND).await == 0 {
                    return None;
                }
            }
            while self.left.len() < ROUND
                && let Ok(waiting) = self.queue.try_recv()
            {
                self.left.push(waiting);
            }
            self.left.retain(|waiting| !waiting.is_over());
            if self.left.is_empty() {
                continue;
            }
            let first = self.left.remove(0);
            self.is_behind.store(first.since.elapsed() > BEHIND, Ordering::Relaxed);
            let goes_with_it = |other: &mut Waiting<W>| worker.goes_with(&first.task, &other.task);
            let others = self.left.extract_if(.., goes_with_it).collect::<Vec<_>>();
            return Some(std::iter::once(first).chain(others).collect());
        }
    }
}

impl<W: Worker> Queue<W> {
    /// Starts the workers; they end when the last handle is gone and what was queued is done.
    pub fn start(workers: impl IntoIterator<Item = W>, running: &Tasks) -> Self {
        let (tasks, queue) = mpsc::channel::<Waiting<W>>(QUEUE);
        let is_behind = Arc::<AtomicBool>::default();
        let arrived = Arrived { left: Vec::new(), queue, is_behind: Arc::clone(&is_behind) };
        let waitlist = Arc::new(Waitlist { tasks: AsyncMutex::new(arrived), turn: Arc::default() });
        for worker in workers {
            running.watch(W::NAME, work(worker, Arc::clone(&waitlist)));
        }
        Self { tasks, is_behind }
    }

    /// Whether what comes now would wait for too long.
    pub fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// Has a task done and waits for the outcome.
    pub async fn ask(&self, task: W::Task) -> Result<W::Outcome> {
        let (reply, outcome) = oneshot::channel();
        let waiting = Waiting { task, reply: Some(reply), since: Instant::now() };
        self.tasks.try_send(waiting).map_err(|_| Error::Overloaded)?;
        outcome.await.unwrap_or(Err(Error::Fault))
    }

    /// Has a task done after those that were handed over before, and does not wait for it.
    pub fn tell(&self, task: W::Task) -> Result<()> {
        let waiting = Waiting { task, reply: None, since: Instant::now() };
        self.tasks.try_send(waiting).map_err(|_| Error::Overloaded)
    }
}

async fn work<W: Worker>(mut worker: W, waitlist: Arc<Waitlist<W>>) {
    loop {
        let turn = Turn(Mutex::new(Some(Arc::clone(&waitlist.turn).lock_owned().await)));
        let Some(round) = waitlist.tasks.lock().await.next_round(&mut worker).await else { break };
        let (tasks, replies): (Vec<_>, Vec<_>) = round.into_iter().map(|one| (one.task, one.reply)).unzip();
        let mut round = pin!(worker.work(tasks, &turn));
        let outcomes = if let Ok(outcomes) = timeout(PATIENCE, &mut round).await {
            outcomes
        } else {
            turn.pass();
            round.await
        };
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // whoever left meanwhile finds the outcome by the request id
            reply.map(|reply| reply.send(outcome));
        }
    }
    worker.end().await;
}

impl<W: Worker> Clone for Queue<W> {
    fn clone(&self) -> Self {
        Self { tasks: self.tasks.clone(), is_behind: Arc::clone(&self.is_behind) }
    }
}

impl<W: Worker> fmt::Debug for Queue<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("waiting", &(QUEUE - self.tasks.capacity())).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    /// Answers how many went into its round; a round that holds a 0 does not end.
    struct Counting(Arc<Notify>);

    impl Worker for Counting {
        const NAME: &'static str = "counting";
        type Task = u8;
        type Outcome = usize;

        async fn work(&mut self, tasks: Vec<u8>, _turn: &Turn) -> Vec<Result<usize>> {
            if tasks.contains(&0) {
                self.0.notify_one();
                std::future::pending::<()>().await;
            }
            vec![Ok(tasks.len()); tasks.len()]
        }

        async fn end(self) {}
    }

    /// Whether a task is done behind one that does not end.
    async fn is_done_behind_a_stuck_round(workers: usize) -> bool {
        let stuck = Arc::new(Notify::new());
        let queue = Queue::start((0..workers).map(|_| Counting(Arc::clone(&stuck))), &Tasks::default());
        queue.tell(0).unwrap();
        stuck.notified().await;
        timeout(PATIENCE * 20, queue.ask(1)).await.is_ok_and(|outcome| outcome.unwrap() == 1)
    }

    #[tokio::test]
    async fn a_round_that_takes_long_loses_its_turn() {
        assert!(is_done_behind_a_stuck_round(2).await);
        // the control: nobody else is there to take the turn
        assert!(!is_done_behind_a_stuck_round(1).await);
    }

    /// Answers with its round: the tasks that are alike in their last digit.
    struct Sorting;

    impl Worker for Sorting {
        const NAME: &'static str = "sorting";
        type Task = u8;
        type Outcome = Vec<u8>;

        fn goes_with(&self, first: &u8, other: &u8) -> bool {
            first % 10 == other % 10
        }

        async fn work(&mut self, tasks: Vec<u8>, _turn: &Turn) -> Vec<Result<Vec<u8>>> {
            tasks.iter().map(|_| Ok(tasks.clone())).collect()
        }

        async fn end(self) {}
    }

    #[tokio::test]
    async fn what_does_not_go_with_the_first_one_waits_for_its_own_round() {
        let queue = Queue::start([Sorting], &Tasks::default());
        let asked = futures_util::future::join_all([1, 2, 11, 3, 12, 21].map(|task| queue.ask(task)));
        let rounds = asked.await.into_iter().map(std::result::Result::unwrap).collect::<Vec<_>>();
        assert_eq!(rounds, [vec![1, 11, 21], vec![2, 12], vec![1, 11, 21], vec![3], vec![2, 12], vec![1, 11, 21]]);
    }

    /// Takes longer for each round than a task may wait.
    struct Slow;

    impl Worker for Slow {
        const NAME: &'static str = "slow";
        type Task = u8;
        type Outcome = ();

        fn goes_with(&self, _first: &u8, _other: &u8) -> bool {
            false
        }

        async fn work(&mut self, tasks: Vec<u8>, _turn: &Turn) -> Vec<Result<()>> {
            tokio::time::sleep(BEHIND * 2).await;
            tasks.iter().map(|_| Ok(())).collect()
        }

        async fn end(self) {}
    }

    #[tokio::test]
    async fn a_queue_is_behind_from_the_first_that_waited_too_long_until_nobody_waits() {
        let queue = Queue::start([Slow], &Tasks::default());
        let (first, second) = (queue.ask(1), queue.ask(2));
        // the control: whoever is done in time leaves nobody behind
        let ((), ()) = tokio::join!(async { first.await.unwrap() }, async { assert!(!queue.is_behind()) });
        let (third, fourth) = (queue.ask(3), queue.ask(4));
        let while_it_works = async {
            tokio::time::sleep(BEHIND * 3).await;
            queue.is_behind()
        };
        let (_, _, _, is_behind) = tokio::join!(second, third, fourth, while_it_works);
        assert!(is_behind);
        let caught_up = async {
            while queue.is_behind() {
                tokio::task::yield_now().await;
            }
        };
        timeout(BEHIND, caught_up).await.unwrap();
    }

    #[tokio::test]
    async fn what_waits_goes_into_one_round() {
        let queue = Queue::start([Counting(Arc::default())], &Tasks::default());
        let asked = futures_util::future::join_all((1..=5).map(|task| queue.ask(task)));
        assert_eq!(asked.await.into_iter().map(std::result::Result::unwrap).collect::<Vec<_>>(), [5; 5]);
    }
}
