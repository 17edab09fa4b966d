//! Backups: a folder with a consistent copy of every file and a manifest that says what they must
//! be. Made while the server runs ([`make`]); verified and restored without a server ([`restore`]).
//! Here is what both know: the manifest.

mod make;
mod restore;

pub(crate) use make::{Writing, copy};
pub use restore::{list_backups, restore, verify_backup};

use crate::error::io;
use crate::files::{SHARED_FILE, TENANTS_DIR};
use crate::migrate::SCHEMA_VERSION;
use caxton_core::{Digest, TenantId, Timestamp};
use caxton_engine::port::StoreError;
use caxton_engine::port::store::BackupInfo;
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
