//! The threads that read. A read takes tens of microseconds, so a few of them serve everybody; each
//! keeps a connection per file, the least used of which is closed for another.

use crate::error::Error;
use crate::file::queue::{Queue, Taken};
use crate::file::{Database, open};
use crate::options::Options;
use caxton_engine::port::StoreError;
use rusqlite::Connection;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&mut Connections) + Send>;

/// The pool. Dropping it finishes what waits.
pub(crate) struct Readers {
    queue: Arc<Queue<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Readers({})", self.threads.len())
    }
}

/// One thread's connections.
pub(crate) struct Connections {
    open: HashMap<PathBuf, (u64, Connection)>,
    uses: u64,
    options: Arc<Options>,
}

impl Connections {
    fn get(&mut self, path: &Path) -> Result<&Connection, Error> {
        self.uses += 1;
        if !self.open.contains_key(path) {
            let files_max = self.options.tenants_open_max.max(1);
            if self.open.len() > files_max {
                self.close_oldest();
            }
            let conn = open::reader(path, &self.options)?;
            self.open.insert(path.to_owned(), (0, conn));
        }
        let Some((used, conn)) = self.open.get_mut(path) else {
            return Err(Error::Store(crate::file::stopped()));
        };
        *used = self.uses;
        Ok(conn)
    }

    fn close_oldest(&mut self) {
        let oldest = self.open.iter().min_by_key(|(_, (used, _))| *used);
        if let Some(path) = oldest.map(|(path, _)| path.clone()) {
            self.open.remove(&path);
        }
    }

    /// Asks the file. A connection whose file failed is not used again.
    fn ask<T>(
        &mut self,
        database: &Database,
        ask: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        database.ensure_ready()?;
        let path = &database.shared.path;
        let result = self.get(path).and_then(ask).map_err(|error| error.of(path));
        if matches!(result, Err(StoreError::Failed(_) | StoreError::Damaged(_))) {
            self.open.remove(path);
        }
        result
    }
}

impl Readers {
    pub(crate) fn start(options: &Arc<Options>) -> Result<Self, StoreError> {
        let queue: Arc<Queue<Job>> = Arc::new(Queue::new(options.queue_reads_max, usize::MAX));
        let mut threads = Vec::new();
        for _ in 0..options.reader_threads.max(1) {
            let (queue, options) = (queue.clone(), options.clone());
            let thread = std::thread::Builder::new()
                .name("store-reader".to_owned())
                .spawn(move || run(&queue, options))
                .map_err(|error| StoreError::Failed(format!("cannot start a reader: {error}")))?;
            threads.push(thread);
        }
        Ok(Self { queue, threads })
    }

    /// Has `ask` run on one of the threads. It is in the queue when this returns.
    pub(crate) fn read<T: Send + 'static>(
        &self,
        database: Arc<Database>,
        ask: impl FnOnce(&Connection, &Database) -> Result<T, Error> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connections| {
            let result = connections.ask(&database, |conn| ask(conn, &database));
            // The file may be closed for another as soon as nobody uses it.
            drop(database);
            reply.send(result).ok();
        });
        self.queue.push(0, job).map_err(|_| StoreError::Busy)?;
        Ok(answer)
    }

    /// Waits until all reads that are queued now are done, and no thread has the file (if one is
    /// named) open any more.
    /// Blocks; for the store's own thread, of which there is one: were these jobs of two callers
    /// mixed, they would wait for each other.
    pub(crate) fn quiesce(&self, path: Option<&Path>) -> Result<(), StoreError> {
        let threads = self.threads.len();
        let all = Arc::new(Barrier::new(threads + 1));
        let jobs = (0..threads).map(|_| {
            let (all, path) = (all.clone(), path.map(Path::to_owned));
            let job: Job = Box::new(move |connections| {
                if let Some(path) = path {
                    connections.open.remove(&path);
                }
                // Each thread takes one of these jobs, for none goes on before all have.
                all.wait();
            });
            (0, job)
        });
        if !self.queue.push_always(jobs) {
            return Err(crate::file::stopped());
        }
        all.wait();
        Ok(())
    }
}

fn run(queue: &Queue<Job>, options: Arc<Options>) {
    let mut connections = Connections {
        open: HashMap::new(),
        uses: 0,
        options,
    };
    loop {
        match queue.take(1, None) {
            Taken::Items(jobs) => jobs.into_iter().for_each(|job| job(&mut connections)),
            Taken::Nothing => {}
            Taken::Closed => return,
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}
