//! The workers of a replica, from start to stop.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::Mailer;
use super::round::Worker;
use crate::store::connection::Own;

/// Before the next try, where the mail server or the database is not there.
const PAUSE: Duration = Duration::from_secs(5);
/// Emails that are written one after another are sent together.
const GATHER: Duration = Duration::from_millis(20);
/// How long a connection waits for the next email; each takes one of the mail server's places.
const KEEP: Duration = Duration::from_secs(5);

/// Sends emails until `stop`, then finishes what is on its way. Whoever does not wait for that cuts it off: it is sent
/// again when its lease ends.
///
/// `wake` may be notified after a commit that wrote emails; without it they are seen within the poll interval. Each worker
/// has a connection of its own, made like that one.
pub async fn run(database: Own, mailer: Arc<Mailer>, wake: Arc<Notify>, stop: CancellationToken) {
    let mut workers = JoinSet::new();
    let start = |workers: &mut JoinSet<()>| {
        let worker = Worker::new(database.another(), Arc::clone(&mailer));
        workers.spawn(work(worker, mailer.poll_interval, Arc::clone(&wake), stop.clone()));
    };
    for _ in 0..mailer.workers {
        start(&mut workers);
    }
    while let Some(ended) = workers.join_next().await {
        if stop.is_cancelled() {
            break;
        }
        if ended.is_err() {
            error!("a mail worker panicked; another one takes its place");
            pause(PAUSE, &stop).await;
            start(&mut workers);
        }
    }
    while workers.join_next().await.is_some() {}
}

async fn work(mut worker: Worker, poll_interval: Duration, wake: Arc<Notify>, stop: CancellationToken) {
    let mut hang_up_at = Instant::now();
    while !stop.is_cancelled() {
        match worker.deliver_due(&stop).await {
            Ok(round) if round.unreachable => pause(PAUSE, &stop).await,
            Ok(round) if round.claimed > 0 => {
                hang_up_at = Instant::now() + KEEP;
                if round.is_full {
                    // there is more than this worker's share
                    wake.notify_one();
                }
            }
            Ok(_) => tokio::select! {
                () = wake.notified() => pause(GATHER, &stop).await,
                () = pause(poll_interval, &stop) => {}
                () = hang_up(&mut worker, hang_up_at) => {}
            },
            Err(error) => {
                warn!(%error, "the outbox could not be read or written");
                pause(PAUSE, &stop).await;
            }
        }
    }
    worker.hang_up().await;
}

/// Closes the connection to the mail server at that time; never ends.
async fn hang_up(worker: &mut Worker, at: Instant) {
    sleep_until(at).await;
    worker.hang_up().await;
    pending::<()>().await;
}

async fn pause(duration: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = sleep(duration) => {}
        () = stop.cancelled() => {}
    }
}
