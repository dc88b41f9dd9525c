//! The tasks of connections: counted, told to stop together, never left behind.

use std::future::Future;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where connections and what serves them run. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    abort: CancellationToken,
}

impl Tasks {
    /// Runs `task` until it ends, or until [`Tasks::shutdown`] loses patience.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let abort = self.abort.clone();
        self.tracker.spawn(async move { abort.run_until_cancelled(task).await });
    }

    /// Cancelled when tasks should come to an end.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// Asks all tasks to end and, after `patience`, drops those that have not.
    pub(crate) async fn shutdown(&self, patience: std::time::Duration) {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(patience, self.tracker.wait()).await.is_err() {
            self.abort.cancel();
            self.tracker.wait().await;
        }
    }
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        self.spawn(async move {
            task.await;
        });
    }
}

/// Watches over tasks that must run as long as the server does.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor(watch::Sender<Option<String>>);

impl Default for Supervisor {
    fn default() -> Supervisor {
        Supervisor(watch::Sender::new(None))
    }
}

impl Supervisor {
    /// Runs `task` among `tasks`; if it ends, or panics, before they are told to stop, the server has failed.
    pub(crate) fn spawn(
        &self,
        tasks: &Tasks,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let ending = Ending { name, failure: self.0.clone(), stop: tasks.stop.clone() };
        tasks.spawn(async move {
            let _ending = ending;
            task.await;
        });
    }

    /// Resolves with the name of a task that ended unasked.
    pub(crate) async fn failed(&self) -> String {
        let mut failure = self.0.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(name) => name.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }
}

/// Dropped when its task is over, however that came about.
struct Ending {
    name: &'static str,
    failure: watch::Sender<Option<String>>,
    stop: CancellationToken,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            self.failure.send_replace(Some(format!("{} ended unasked", self.name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn the_polite_end_and_the_others_are_dropped() {
        let tasks = Tasks::default();
        let (done, ended) = tokio::sync::oneshot::channel();
        let stop = tasks.stopping().clone();
        tasks.spawn(async move {
            stop.cancelled().await;
            let _ = done.send(());
        });
        tasks.spawn(std::future::pending());
        tasks.shutdown(Duration::from_millis(10)).await;
        ended.await.unwrap();
    }

    #[tokio::test]
    async fn a_task_that_ends_unasked_is_a_failure() {
        let (tasks, supervisor) = (Tasks::default(), Supervisor::default());
        let stop = tasks.stopping().clone();
        supervisor.spawn(&tasks, "patient", async move { stop.cancelled().await });
        supervisor.spawn(&tasks, "hasty", async {});
        assert_eq!(supervisor.failed().await, "hasty ended unasked");
        tasks.shutdown(Duration::from_secs(1)).await;
    }
}
