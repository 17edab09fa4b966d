//! One database file: its writer thread, what is known of it in memory, and how jobs get to it.

pub(crate) mod answer;
mod group;
pub(crate) mod inbox;
mod known;
mod log;
mod look;
pub(crate) mod open;
pub(crate) mod queue;
pub(crate) mod tail;
pub(crate) mod tenants;
mod unit;
mod writer;

pub(crate) use known::Summary;
pub use look::{Looked, look};
pub(crate) use unit::Prepared;
pub(crate) use writer::Writer;

use crate::options::Options;
use crate::rows::Segments;
use answer::answer;
pub(crate) use answer::{Answer, Reply};
use caxton_core::TenantId;
use caxton_engine::port::StoreError;
use inbox::Inbox;
use parking_lot::{Mutex, RwLock};
use queue::Queue;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use tail::Tail;
use tokio::sync::oneshot;

/// Maps and sets of this crate. Seeded anew in each process, so that nobody can choose keys that
/// collide; several times faster than the standard library's on keys this short.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
pub(crate) type Set<K> = HashSet<K, foldhash::fast::RandomState>;

/// Work on the writer's thread that is not a unit. Answers whether the connection must be given up.
pub(crate) type Task =
    Box<dyn for<'w, 'a> FnOnce(Result<&'w mut Writer<'a>, StoreError>) -> bool + Send>;

/// What the writer does, in order.
pub(crate) enum Job {
    Commit(Box<Prepared>, Reply),
    Task(Task),
}

/// What writer and readers of one file share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) tail: RwLock<Tail>,
    pub(crate) inbox: RwLock<Inbox>,
    /// Lists of segments that were read.
    pub(crate) segments: Segments,
    /// Committed tenants and the numbers that stand for them.
    pub(crate) tenants: RwLock<Map<TenantId, i64>>,
    /// Tenants of the shared file whose data is in a file of their own.
    pub(crate) dedicated: RwLock<Set<TenantId>>,
    /// The epoch this process has begun: no file accepts an older one.
    pub(crate) epoch_floor: Arc<AtomicU64>,
    /// Whether the file was opened and set up once.
    pub(crate) ready: AtomicBool,
    counts: Arc<Counts>,
}

/// What all files of a store did, together.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) units: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) failing: Mutex<Option<(PathBuf, String)>>,
}

impl Shared {
    fn wrote(&self, units: usize) {
        self.counts.units.fetch_add(units as u64, Ordering::Relaxed);
        let mut failing = self.counts.failing.lock();
        if failing.as_ref().is_some_and(|(file, _)| *file == self.path) {
            *failing = None;
        }
    }

    fn synced(&self) {
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
    }

    fn failed(&self, error: &StoreError) {
        tracing::error!(file = %self.path.display(), %error, "storage refused a write");
        *self.counts.failing.lock() = Some((self.path.clone(), error.to_string()));
    }

    /// The write-ahead log beside the file.
    pub(crate) fn log_path(&self) -> PathBuf {
        open::log_path(&self.path)
    }
}

/// One open file. Dropping it writes what waits and closes.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) shared: Arc<Shared>,
    queue: Arc<Queue<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Commit(..) => "Commit",
            Self::Task(_) => "Task",
        })
    }
}

impl Database {
    /// Starts the writer. The file itself is opened by the writer with its first job, so that this
    /// never waits for a disk.
    pub(crate) fn start(
        path: &Path,
        options: &Arc<Options>,
        epoch_floor: &Arc<AtomicU64>,
        counts: &Arc<Counts>,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            tail: RwLock::default(),
            inbox: RwLock::default(),
            segments: Segments::default(),
            tenants: RwLock::default(),
            dedicated: RwLock::default(),
            epoch_floor: epoch_floor.clone(),
            ready: AtomicBool::new(false),
            counts: counts.clone(),
        });
        let queue = Arc::new(Queue::new(options.queue_units_max, options.queue_bytes_max));
        let thread = {
            let (shared, queue, options) = (shared.clone(), queue.clone(), options.clone());
            let run = move || writer::run(&shared, &queue, &options);
            std::thread::Builder::new()
                .name("store-writer".to_owned())
                .spawn(run)
                .map_err(|error| StoreError::Failed(format!("cannot start a writer: {error}")))?
        };
        Ok(Self {
            shared,
            queue,
            thread: Some(thread),
        })
    }

    /// Puts the unit into the writer's queue, at once.
    pub(crate) fn commit(&self, prepared: Prepared) -> Result<Answer, StoreError> {
        let (reply, answer) = answer();
        let bytes = prepared.bytes;
        let job = Job::Commit(Box::new(prepared), reply);
        self.queue.push(bytes, job).map_err(|_| StoreError::Busy)?;
        Ok(answer)
    }

    /// The same for units that waited elsewhere and were counted there.
    pub(crate) fn commit_waiting(&self, units: Vec<(Prepared, Reply)>) {
        let jobs = units.into_iter().map(|(prepared, reply)| {
            let bytes = prepared.bytes;
            (bytes, Job::Commit(Box::new(prepared), reply))
        });
        // A closed queue drops them, and with them their answers.
        self.queue.push_always(jobs);
    }

    /// Runs `work` on the writer's thread after all units that wait already.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&mut Writer<'a>) -> Result<T, crate::error::Error> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (task, answer) = Self::task(work);
        let pushed = self.queue.push(0, Job::Task(task));
        pushed.map_err(|_| StoreError::Busy)?;
        Ok(answer)
    }

    /// The same for the store's own thread, which waits for it. Never call it from a task.
    pub(crate) fn run_now<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&mut Writer<'a>) -> Result<T, crate::error::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (task, answer) = Self::task(work);
        if !self.queue.push_always([(0, Job::Task(task))]) {
            return Err(stopped());
        }
        answer.blocking_recv().unwrap_or_else(|_| Err(stopped()))
    }

    fn task<T: Send + 'static>(
        work: impl for<'a> FnOnce(&mut Writer<'a>) -> Result<T, crate::error::Error> + Send + 'static,
    ) -> (Task, oneshot::Receiver<Result<T, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let task: Task = Box::new(move |ready| {
            let result = ready.and_then(|writer| {
                let path = writer.shared.path.clone();
                work(writer).map_err(|error| error.of(&path))
            });
            let lost = matches!(result, Err(StoreError::Damaged(_)));
            reply.send(result).ok();
            lost
        });
        (task, answer)
    }

    /// Whether no work waits. Work at hand holds the database by its caller's answer only, and is
    /// finished by the drop.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Waits on this thread until the file is open; readers call it before their first look.
    pub(crate) fn ensure_ready(&self) -> Result<(), StoreError> {
        if self.shared.ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let (reply, opened) = std::sync::mpsc::sync_channel(1);
        let task: Task = Box::new(move |ready| {
            reply.send(ready.map(|_| ())).ok();
            false
        });
        let pushed = self.queue.push(0, Job::Task(task));
        pushed.map_err(|_| StoreError::Busy)?;
        opened.recv().unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A writer does not panic; if it did, its units were answered by their dropped replies.
            thread.join().ok();
        }
    }
}

/// The answer of a writer or reader that is gone.
pub(crate) fn stopped() -> StoreError {
    StoreError::Failed("the store has stopped".to_owned())
}
