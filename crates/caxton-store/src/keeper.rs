//! The thread for the store's own slow work: moving and removing tenants, forgetting, verifying,
//! backups. One piece after the other, so that none meets another half done; and on a thread of its
//! own, so that it neither takes a reader from the queries nor ends when whoever asked stops waiting.

use crate::file::queue::{Queue, Taken};
use crate::file::stopped;
use caxton_engine::port::StoreError;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Pieces of work that may wait; more are refused with `Busy`.
const JOBS_MAX: usize = 1_024;

type Job = Box<dyn FnOnce() + Send>;

/// The thread. Dropping it finishes what waits.
pub(crate) struct Keeper {
    queue: Arc<Queue<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keeper")
    }
}

impl Keeper {
    pub(crate) fn start() -> Result<Self, StoreError> {
        let queue: Arc<Queue<Job>> = Arc::new(Queue::new(JOBS_MAX, usize::MAX));
        let jobs = queue.clone();
        let run = move || {
            while let Taken::Items(jobs) = jobs.take(1, None) {
                jobs.into_iter().for_each(|job| job());
            }
        };
        let thread = std::thread::Builder::new()
            .name("store-keeper".to_owned())
            .spawn(run)
            .map_err(|error| StoreError::Failed(format!("cannot start the keeper: {error}")))?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// Has `work` done, whether or not somebody waits for its answer.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            reply.send(work()).ok();
        });
        self.queue.push(0, job).map_err(|_| StoreError::Busy)?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// The same where nobody waits.
    pub(crate) fn begin(&self, work: impl FnOnce() + Send + 'static) {
        self.queue.push_always([(0, Box::new(work) as Job)]);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
