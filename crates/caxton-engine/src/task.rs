//! The one place that spawns. Tasks are named, counted, cancelled together, and waited for.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A family of tasks that ends together.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    /// The same as a flag that costs one load.
    stopping: Arc<AtomicBool>,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task to its end. It must end by itself soon after [`Tasks::stopping`] is true.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let _ = name;
        self.tracker.spawn(task);
    }

    /// Runs a task that is dropped, wherever it stands, when the family stops.
    pub fn spawn_until_stop<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopping) = (self.stop.clone(), Arc::clone(&self.stopping));
        self.spawn(name, async move {
            let (mut stopped, mut task) = (pin!(stop.cancelled()), pin!(task));
            let mut told: Option<Waker> = None;
            poll_fn(|cx| {
                // The token is one lock for all tasks. Asked once, it wakes this one when it is time.
                let is_told = told.as_ref().is_some_and(|it| it.will_wake(cx.waker()));
                if !is_told || stopping.load(Ordering::Acquire) {
                    told = Some(cx.waker().clone());
                    if stopped.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                }
                task.as_mut().poll(cx)
            })
            .await;
        });
    }

    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Completes when the family is told to stop.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Tells every task to stop.
    pub fn begin_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.cancel();
    }

    /// Tells every task to stop and waits for the last.
    pub async fn stop(&self) {
        self.begin_stop();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Tasks that have not ended.
    pub fn running(&self) -> usize {
        self.tracker.len()
    }
}
