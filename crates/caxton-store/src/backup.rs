//! Backups: a folder with a consistent copy of every file and a manifest that says what they must
//! be. Made while the server runs; verified and restored by these functions without a server.

use crate::error::{Error, io};
use crate::files::{SHARED_FILE, TENANTS_DIR};
use crate::migrate::{self, SCHEMA_VERSION};
use crate::options::Options;
use caxton_core::{Digest, TenantId, Timestamp};
use caxton_engine::port::StoreError;
use caxton_engine::port::store::BackupInfo;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

/// The manifest's name. It is written last: a folder without it is no backup.
const MANIFEST: &str = "backup.json";
/// Largest manifest that is read: one line of a hundred bytes for each of 100,000 tenants.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// What stands in `backup.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    schema_version: u32,
    /// RFC 3339, and as it is kept: microseconds since 1970.
    created: String,
    created_us: i64,
    files: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Relative, with `/` on every system.
    name: String,
    bytes: u64,
    sha256: String,
}

const FORMAT: u32 = 1;

/// Why a backup cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("no backup at {}", .0.display())]
    Missing(PathBuf),
    #[error("the backup is damaged: {}: {}", .file.display(), .reason)]
    Damaged { file: PathBuf, reason: String },
    #[error("the backup was made by a newer version: schema {found}, known {known}")]
    Newer { found: u32, known: u32 },
    #[error("{} is not empty: restore into a new folder", .0.display())]
    NotEmpty(PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(crate) fn shared_name() -> String {
    SHARED_FILE.to_owned()
}

pub(crate) fn dedicated_name(tenant: &TenantId) -> String {
    format!("{TENANTS_DIR}/{tenant}.db")
}

/// A backup that is being made, in a folder that did not exist.
#[derive(Debug)]
pub(crate) struct Writing {
    dir: PathBuf,
    finished: bool,
}

impl Writing {
    pub(crate) fn begin(dir: &Path) -> Result<Self, StoreError> {
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent).map_err(|error| io("make", parent, &error))?;
        }
        fs::create_dir(dir).map_err(|error| io("make", dir, &error))?;
        let writing = Self {
            dir: dir.to_owned(),
            finished: false,
        };
        let tenants = dir.join(TENANTS_DIR);
        fs::create_dir(&tenants).map_err(|error| io("make", &tenants, &error))?;
        Ok(writing)
    }

    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes the manifest: from then on the folder is a backup.
    pub(crate) fn finish(mut self, now: Timestamp) -> Result<BackupInfo, StoreError> {
        let mut entries = Vec::new();
        let mut names = vec![shared_name()];
        let tenants = self.dir.join(TENANTS_DIR);
        for found in fs::read_dir(&tenants).map_err(|error| io("list", &tenants, &error))? {
            let found = found.map_err(|error| io("list", &tenants, &error))?;
            let name = found.file_name().to_string_lossy().into_owned();
            names.push(format!("{TENANTS_DIR}/{name}"));
        }
        names.sort();
        for name in names {
            let path = self.dir.join(&name);
            let (bytes, sha256) = measure(&path)?;
            let sha256 = sha256.to_string();
            entries.push(Entry {
                name,
                bytes,
                sha256,
            });
        }
        let manifest = Manifest {
            format: FORMAT,
            schema_version: SCHEMA_VERSION,
            created: now.to_string(),
            created_us: now.as_us(),
            files: entries,
        };
        let path = self.dir.join(MANIFEST);
        let text = serde_json::to_string_pretty(&manifest)
            .map_err(|error| StoreError::Failed(format!("cannot write a manifest: {error}")))?;
        write_durably(&path, text.as_bytes())?;
        sync_dir(&tenants)?;
        sync_dir(&self.dir)?;
        self.finished = true;
        Ok(info(&self.dir, &manifest, text.as_bytes()))
    }
}

impl Drop for Writing {
    /// What was not finished is no backup and only takes space.
    fn drop(&mut self) {
        if !self.finished {
            fs::remove_dir_all(&self.dir).ok();
        }
    }
}

/// Copies one database as it is at this moment into a new file, while others write to it.
pub(crate) fn copy(conn: &Connection, to: &Path, options: &Options) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let make = || -> Result<(), Error> {
        let mut target = crate::file::open::plain(to, flags, options)?;
        let backup = rusqlite::backup::Backup::new(conn, &mut target)?;
        // All pages in one step: a snapshot of the log, so that no write makes it begin again.
        match backup.step(-1)? {
            rusqlite::backup::StepResult::Done => {}
            _ => return Err(Error::Store(StoreError::Busy)),
        }
        drop(backup);
        // One file, complete in itself.
        target.pragma_update(None, "journal_mode", "delete")?;
        target.close().map_err(|(_, error)| error)?;
        Ok(())
    };
    make().map_err(|error| Error::Store(error.of(to)))?;
    let synced = File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| Error::Store(io("sync", to, &error)))
}

/// Checks everything a backup says of itself, and each database in it. The error names the damage.
pub fn verify_backup(dir: &Path) -> Result<BackupInfo, BackupError> {
    let (manifest, text) = read_manifest(dir)?;
    for entry in &manifest.files {
        let path = dir.join(&entry.name);
        let damaged = |reason: &str| BackupError::Damaged {
            file: path.clone(),
            reason: reason.to_owned(),
        };
        if !path.is_file() {
            return Err(damaged("the file is missing"));
        }
        let (bytes, sha256) = measure(&path)?;
        if bytes != entry.bytes {
            return Err(damaged(&format!(
                "{bytes} bytes instead of {}",
                entry.bytes
            )));
        }
        if sha256.to_string() != entry.sha256 {
            return Err(damaged("its content does not match its SHA-256"));
        }
        check_database(&path).map_err(|error| damaged(&error.to_string()))?;
    }
    Ok(info(dir, &manifest, &text))
}

/// The structure of a backup's database. Read as immutable, so that looking changes nothing.
fn check_database(path: &Path) -> Result<(), StoreError> {
    let check = || -> Result<(), Error> {
        let conn = crate::file::open::immutable(path)?;
        let found: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Err(Error::Store(StoreError::Damaged(found)));
        }
        let id: i32 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        if id != migrate::APPLICATION_ID {
            let text = "not a database of this program".to_owned();
            return Err(Error::Store(StoreError::Damaged(text)));
        }
        Ok(())
    };
    check().map_err(|error| error.of(path))
}

/// The backups in a folder of backups, oldest first; what is not a backup is passed over.
pub fn list_backups(dir: &Path) -> Result<Vec<BackupInfo>, BackupError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("list", dir, &error).into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| io("list", dir, &error))?.path();
        if let Ok((manifest, text)) = read_manifest(&path) {
            found.push(info(&path, &manifest, &text));
        }
    }
    found.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    Ok(found)
}

/// Verifies the backup and copies it into an empty or new folder, which a server can then open.
/// A folder where this failed half-way is not opened as a database: the shared file comes last.
pub fn restore(dir: &Path, into: &Path) -> Result<BackupInfo, BackupError> {
    let verified = verify_backup(dir)?;
    let (manifest, _) = read_manifest(dir)?;
    fs::create_dir_all(into).map_err(|error| io("make", into, &error))?;
    let mut there = fs::read_dir(into).map_err(|error| io("list", into, &error))?;
    if there.next().is_some() {
        return Err(BackupError::NotEmpty(into.to_owned()));
    }
    let (shared, dedicated): (Vec<_>, Vec<_>) = manifest
        .files
        .iter()
        .partition(|entry| entry.name == SHARED_FILE);
    for entry in dedicated.into_iter().chain(shared) {
        let (from, to) = (dir.join(&entry.name), into.join(&entry.name));
        let parent = to.parent().unwrap_or(into);
        fs::create_dir_all(parent).map_err(|error| io("make", parent, &error))?;
        fs::copy(&from, &to).map_err(|error| io("copy", &from, &error))?;
        let synced = File::open(&to).and_then(|file| file.sync_all());
        synced.map_err(|error| io("sync", &to, &error))?;
        // What was verified is what was copied.
        let (bytes, sha256) = measure(&to)?;
        if bytes != entry.bytes || sha256.to_string() != entry.sha256 {
            return Err(BackupError::Damaged {
                file: to,
                reason: "it changed while it was copied".to_owned(),
            });
        }
        sync_dir(parent)?;
    }
    sync_dir(into)?;
    Ok(verified)
}

fn read_manifest(dir: &Path) -> Result<(Manifest, Vec<u8>), BackupError> {
    let path = dir.join(MANIFEST);
    let damaged = |reason: String| BackupError::Damaged {
        file: path.clone(),
        reason,
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(BackupError::Missing(dir.to_owned()));
        }
        Err(error) => return Err(io("open", &path, &error).into()),
    };
    let mut text = Vec::new();
    file.take(MANIFEST_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(|error| io("read", &path, &error))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    if manifest.format != FORMAT || manifest.schema_version > SCHEMA_VERSION {
        return Err(BackupError::Newer {
            found: manifest.schema_version,
            known: SCHEMA_VERSION,
        });
    }
    // A manifest comes from outside: its names must not lead out of the folder.
    for entry in &manifest.files {
        let parts: Vec<Component<'_>> = Path::new(&entry.name).components().collect();
        let plain = parts
            .iter()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain || parts.is_empty() || parts.len() > 2 {
            return Err(damaged(format!(
                "`{}` is not a file of a backup",
                entry.name
            )));
        }
    }
    if !manifest.files.iter().any(|entry| entry.name == SHARED_FILE) {
        return Err(damaged(format!("it lists no {SHARED_FILE}")));
    }
    Ok((manifest, text))
}

/// A backup's own sum is that of its manifest, which has the sums of all files.
fn info(dir: &Path, manifest: &Manifest, text: &[u8]) -> BackupInfo {
    let name = dir.file_name().unwrap_or(dir.as_os_str());
    BackupInfo {
        name: name.to_string_lossy().into_owned(),
        created: Timestamp::from_us(manifest.created_us),
        bytes: manifest.files.iter().map(|entry| entry.bytes).sum(),
        schema_version: manifest.schema_version,
        sha256: Digest(Sha256::digest(text).into()),
    }
}

fn measure(path: &Path) -> Result<(u64, Digest), StoreError> {
    let fail = |error: std::io::Error| io("read", path, &error);
    let mut file = File::open(path).map_err(fail)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 16];
    let mut bytes = 0_u64;
    loop {
        let count = file.read(&mut buffer).map_err(fail)?;
        if count == 0 {
            break;
        }
        sum.update(buffer.get(..count).unwrap_or_default());
        bytes += count as u64;
    }
    Ok((bytes, Digest(sum.finalize().into())))
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || -> std::io::Result<()> {
        fs::write(path, bytes)?;
        File::open(path)?.sync_all()
    };
    write().map_err(|error| io("write", path, &error))
}

/// A new name in a folder is durable once the folder is.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    let synced = File::open(dir).and_then(|file| file.sync_all());
    synced.map_err(|error| io("sync", dir, &error))
}

/// Bytes of all database files of a data folder, logs included.
pub(crate) fn bytes_on_disk(dir: &Path) -> u64 {
    let size = |entry: std::io::Result<fs::DirEntry>| {
        let file = entry.ok()?.metadata().ok()?;
        file.is_file().then_some(file.len())
    };
    let sum = |dir: PathBuf| {
        let entries = fs::read_dir(dir).into_iter().flatten();
        entries.filter_map(size).sum::<u64>()
    };
    sum(dir.to_owned()) + sum(dir.join(TENANTS_DIR))
}
