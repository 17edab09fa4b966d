//! Opens one database file: checks that it is ours and whole, sets it up, migrates it.

use crate::error::{Error, io};
use crate::files::SHARED_FILE;
use crate::migrate;
use crate::options::{Options, SyncMode};
use crate::vfs;
use crate::vfs::checksum::{PAGE_BYTES, SUM_BYTES};
use caxton_engine::port::StoreError;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pages in the write-ahead log that make a commit carry them over into the database: 16 MiB. Each
/// carrying-over costs two syncs and is paid by whoever commits then.
const CHECKPOINT_PAGES: u32 = 4096;
/// Bytes the log keeps on disk once it was carried over.
const LOG_BYTES_KEPT: u32 = 64 << 20;
/// Page cache of a writer and of a reader, in KiB.
const WRITER_CACHE_KIB: i32 = 16 << 10;
const READER_CACHE_KIB: i32 = 32 << 10;
/// The same of a dedicated file, of which many may be open.
const READER_CACHE_DEDICATED_KIB: i32 = 2 << 10;
/// How long a connection waits for another one's lock: only a second process can hold it for long.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Prepared statements one connection keeps: more than there are.
const STATEMENTS_MAX: usize = 128;

/// The first bytes of every SQLite database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Opens for writing; makes the file if it is not there.
pub(crate) fn writer(path: &Path, options: &Options) -> Result<Connection, StoreError> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|error| io("make", dir, &error))?;
    }
    check_header(path)?;
    // Without a sync each, a crash of the machine may spoil any number of transactions.
    if options.sync == SyncMode::Always {
        super::log::check(&log_path(path))?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let set_up = || -> Result<Connection, Error> {
        let conn = connect(path, flags, options)?;
        conn.pragma_update(None, "journal_mode", "wal")?;
        let synchronous = match options.sync {
            SyncMode::Always => "full",
            SyncMode::Interval(_) => "normal",
        };
        conn.pragma_update(None, "synchronous", synchronous)?;
        conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        conn.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
        conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        if let Some(bytes) = options.file_bytes_max {
            let pages = bytes / PAGE_BYTES as u64;
            conn.pragma_update(None, "max_page_count", i64::try_from(pages).unwrap_or(0))?;
        }
        let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
        if bytes <= options.check_at_open_bytes_max {
            quick_check(&conn, path)?;
        }
        migrate::run(&conn, &path.display().to_string())?;
        // What was just made has room for sums, too.
        check_header(path)?;
        Ok(conn)
    };
    set_up().map_err(|error| error.of(path))
}

/// The write-ahead log beside a database.
pub(crate) fn log_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Opens for reading a file that a writer has set up.
pub(crate) fn reader(path: &Path, options: &Options) -> Result<Connection, Error> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, options)?;
    let shared = path.file_name() == Some(OsStr::new(SHARED_FILE));
    let cache_kib = match shared {
        true => READER_CACHE_KIB,
        false => READER_CACHE_DEDICATED_KIB,
    };
    conn.pragma_update(None, "cache_size", -cache_kib)?;
    Ok(conn)
}

/// Opens as it is, without journal or cache of its own: a backup that is being written.
pub(crate) fn plain(path: &Path, flags: OpenFlags, options: &Options) -> Result<Connection, Error> {
    connect(path, flags, options)
}

/// Opens a file that nobody writes, and leaves no trace beside it.
pub(crate) fn immutable(path: &Path) -> Result<Connection, Error> {
    check_header(path)?;
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            uri.push(char::from(*byte));
        } else {
            uri.push_str(&format!("%{byte:02x}"));
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let options = Options::new("", std::sync::Arc::new(caxton_engine::port::SystemClock));
    vfs::register(&options)?;
    connect(Path::new(&uri), flags, &options)
}

fn connect(path: &Path, flags: OpenFlags, options: &Options) -> Result<Connection, Error> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags_and_vfs(path, flags, vfs::name(options).as_str())?;
    if flags.contains(OpenFlags::SQLITE_OPEN_CREATE) {
        conn.pragma_update(None, "page_size", PAGE_BYTES as i64)?;
        vfs::reserve(&conn)?;
    }
    conn.busy_timeout(LOCK_WAIT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let length = i32::try_from(options.value_bytes_max).unwrap_or(i32::MAX);
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, length)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    // A schema made by somebody else must not run code, and damage is looked for in every cell read.
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    Ok(conn)
}

/// SQLite takes an empty file, and overwrites what it takes for one: so anything that is neither
/// empty nor a database is refused before SQLite sees it.
pub(super) fn check_header(path: &Path) -> Result<(), StoreError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("open", path, &error)),
    };
    let length = file
        .metadata()
        .map_err(|error| io("read", path, &error))?
        .len();
    if length == 0 {
        return Ok(());
    }
    let mut found = [0_u8; 21];
    let damaged = |text: &str| Err(StoreError::Damaged(format!("{}: {text}", path.display())));
    match file.read_exact(&mut found) {
        Ok(()) if !found.starts_with(MAGIC) => damaged("not an SQLite database"),
        // The page's size, big-endian, and the bytes left free at its end.
        Ok(()) => match found {
            [.., high, low, _, _, free]
                if usize::from(u16::from_be_bytes([high, low])) == PAGE_BYTES
                    && usize::from(free) == SUM_BYTES =>
            {
                Ok(())
            }
            _ => damaged("its pages have no sums"),
        },
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => damaged("cut short"),
        Err(error) => Err(io("read", path, &error)),
    }
}

/// The structure of all pages, without comparing indices with tables.
pub(super) fn quick_check(conn: &Connection, path: &Path) -> Result<(), Error> {
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    let text = format!("{}: {found}", path.display());
    Err(Error::Store(StoreError::Damaged(text)))
}
