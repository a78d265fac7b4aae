//! The tasks of a node: counted, so that its end can wait for all of them, and asked to end together.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A cheap, cloneable way to start tasks, and to learn when they have to end.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl Tasks {
    /// A part of these tasks, which can be asked to end before the others.
    pub fn group(&self) -> Self {
        Self {
            tracker: self.tracker.clone(),
            cancel: self.cancel.child_token(),
        }
    }

    /// Starts a task, which has to look at [`Self::asked_to_end`] by itself.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker.spawn(task)
    }

    /// Starts a task that is dropped, wherever it is, when it has to end.
    pub fn spawn_until_end<F>(&self, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let cancel = self.cancel.clone();
        let running = async move { cancel.run_until_cancelled(task).await };
        self.tracker.spawn(running)
    }

    /// Starts work that keeps a thread busy.
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.tracker.spawn_blocking(work)
    }

    /// Waits for something, unless these tasks are asked to end first.
    pub async fn until_end<F: Future>(&self, waiting: F) -> Option<F::Output> {
        self.cancel.run_until_cancelled(waiting).await
    }

    /// Asks the tasks of this group to end.
    pub fn end(&self) {
        self.cancel.cancel();
    }

    /// Returns when they are asked to end.
    pub async fn asked_to_end(&self) {
        self.cancel.cancelled().await;
    }

    /// Whether they have been asked to end.
    pub fn are_ending(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Waits until every task has ended, those of other groups too.
    pub async fn all_ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// How many tasks there are, those of other groups too.
    pub fn count(&self) -> usize {
        self.tracker.len()
    }
}
