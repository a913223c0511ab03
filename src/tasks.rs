//! The tasks that live as long as the service. Without one of them the service would go on and fail in part, so one that
//! ends unasked, by a panic or not, ends the process, which says which task it was.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What runs beside the calls, and what calls have begun. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    tracker: TaskTracker,
    /// From then on a task may end.
    stop: CancellationToken,
    watched: Mutex<Vec<(&'static str, AbortHandle)>>,
    /// The first that has ended unasked.
    failed: watch::Sender<Option<&'static str>>,
}

impl Tasks {
    /// Tasks may end from `stop` on.
    pub fn new(stop: CancellationToken) -> Self {
        Self(Arc::new(Inner { stop, ..Inner::default() }))
    }

    /// From then on a task may end.
    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Runs a task that lives until the service stops.
    pub fn watch(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let life = Life { name, tasks: self.clone() };
        let task = self.0.tracker.spawn(async move {
            let _life = life;
            task.await;
        });
        self.watched().push((name, task.abort_handle()));
        task
    }

    /// Runs the work of one call to its end, which may be any.
    pub fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.tracker.spawn(work)
    }

    /// The name of the first task that has ended unasked, as soon as one has.
    pub async fn failed(&self) -> &'static str {
        let mut failed = self.0.failed.subscribe();
        let name = failed.wait_for(Option::is_some).await;
        name.ok().and_then(|name| *name).unwrap_or_default()
    }

    /// The same without waiting.
    pub fn has_failed(&self) -> Option<&'static str> {
        *self.0.failed.borrow()
    }

    /// Waits until all have ended.
    pub async fn end(&self) {
        self.0.tracker.close();
        self.0.tracker.wait().await;
    }

    /// What has not ended, by name.
    pub fn running(&self) -> Vec<String> {
        let watched = self.watched();
        let running = watched.iter().filter(|(_, task)| !task.is_finished());
        let mut names = running.map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
        let calls = self.0.tracker.len().saturating_sub(names.len());
        if calls > 0 {
            names.push(format!("{calls} calls"));
        }
        names
    }

    /// Ends the tasks of that name, as an accident would: for tests.
    #[doc(hidden)]
    pub fn kill(&self, name: &str) {
        self.watched().iter().filter(|(watched, _)| *watched == name).for_each(|(_, task)| task.abort());
    }

    fn watched(&self) -> MutexGuard<'_, Vec<(&'static str, AbortHandle)>> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dropped with its task, whatever ends that.
struct Life {
    name: &'static str,
    tasks: Tasks,
}

impl Drop for Life {
    fn drop(&mut self) {
        if self.tasks.0.stop.is_cancelled() && !thread::panicking() {
            return;
        }
        tracing::error!(task = self.name, "a task has ended that the service cannot do without: the process ends");
        self.tasks.0.failed.send_if_modified(|failed| {
            let is_first = failed.is_none();
            failed.get_or_insert(self.name);
            is_first
        });
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn failed(tasks: &Tasks) -> Option<&'static str> {
        timeout(Duration::from_millis(200), tasks.failed()).await.ok()
    }

    #[tokio::test]
    async fn a_task_that_returns_panics_or_is_aborted_has_failed() {
        let tasks = Tasks::default();
        tasks.watch("lives", pending());
        assert_eq!(failed(&tasks).await, None);
        tasks.watch("returns", async {});
        assert_eq!(failed(&tasks).await, Some("returns"));
        // the first one is the cause
        tasks.watch("panics", async { panic!("as asked for") });
        tasks.kill("lives");
        tasks.end().await;
        assert_eq!(failed(&tasks).await, Some("returns"));

        let tasks = Tasks::default();
        tasks.watch("panics", async { panic!("as asked for") });
        assert_eq!(failed(&tasks).await, Some("panics"));
        let tasks = Tasks::default();
        tasks.watch("lives", pending());
        tasks.kill("lives");
        assert_eq!(failed(&tasks).await, Some("lives"));

        // the control: nobody watches the work of a call
        let tasks = Tasks::default();
        assert!(tasks.spawn(async { panic!("as asked for") }).await.is_err());
        assert_eq!(failed(&tasks).await, None);
    }

    #[tokio::test]
    async fn after_the_stop_a_task_may_return_and_not_panic() {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        tasks.watch("returns", stop.clone().cancelled_owned());
        let panics = stop.clone();
        stop.cancel();
        tasks.end().await;
        assert_eq!(tasks.has_failed(), None);
        tasks.watch("panics", async move {
            panics.cancelled().await;
            panic!("as asked for")
        });
        assert_eq!(failed(&tasks).await, Some("panics"));
    }

    #[tokio::test]
    async fn what_runs_is_told_by_name() {
        let tasks = Tasks::default();
        tasks.watch("sweep", pending());
        tasks.watch("returns", async {}).await.unwrap();
        assert_eq!(tasks.running(), ["sweep"]);
        tasks.spawn(pending::<()>());
        assert_eq!(tasks.running(), ["sweep", "1 calls"]);
    }
}
