//! What the operator may choose, with the bounds of everything that could grow.

use caxton_engine::port::Clock;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How a [`SqliteStore`](crate::SqliteStore) is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data folder. Made if it is not there.
    pub dir: PathBuf,
    /// Stamps backups.
    pub clock: Arc<dyn Clock>,
    pub sync: SyncMode,
    /// Units that may wait for the writer of one file; more are refused with `Busy`.
    pub queue_units_max: usize,
    /// Bytes of content in those units.
    pub queue_bytes_max: usize,
    /// Units one commit takes at most: bounds how long the first of them waits for the last.
    pub group_units_max: usize,
    /// Unhandled deliveries one file keeps, all mailboxes together: their order is in memory, some 60
    /// bytes each. More are refused with `Busy`.
    pub deliveries_max: usize,
    /// Threads that read. Each keeps a connection per open file.
    pub reader_threads: usize,
    /// Reads that may wait for a thread; more are refused with `Busy`.
    pub queue_reads_max: usize,
    /// Dedicated files open at one time; the one unused the longest is closed for another.
    pub tenants_open_max: usize,
    /// Largest single value in bytes; a unit with a larger one is refused alone.
    pub value_bytes_max: u32,
    /// Largest size of one database file; a write past it is `Full`. None: the disk decides.
    pub file_bytes_max: Option<u64>,
    /// Files up to this size are checked structurally at open; `verify` checks any size.
    pub check_at_open_bytes_max: u64,
    /// The SQLite VFS beneath the page checksums. None: the system's own.
    pub vfs: Option<String>,
}

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// When it is on the disk: one sync for all units that waited together.
    Always,
    /// When the operating system has it; the disk gets it this often. A crash of the process loses
    /// nothing, a crash of the machine up to this much time.
    Interval(Duration),
}

impl Options {
    pub fn new(dir: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self {
            dir: dir.into(),
            clock,
            sync: SyncMode::Always,
            queue_units_max: 16_384,
            queue_bytes_max: 256 << 20,
            group_units_max: 2_048,
            deliveries_max: 8_000_000,
            reader_threads: 2,
            queue_reads_max: 4_096,
            tenants_open_max: 64,
            value_bytes_max: 256 << 20,
            file_bytes_max: None,
            check_at_open_bytes_max: 64 << 20,
            vfs: None,
        }
    }
}
