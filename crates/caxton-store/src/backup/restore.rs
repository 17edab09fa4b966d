//! Verifies, lists and restores backups. Needs no server.

use super::{BackupError, BackupInfo, info, measure, read_manifest, sync_dir};
use crate::error::{Error, io};
use crate::files::SHARED_FILE;
use crate::migrate;
use caxton_engine::port::StoreError;
use std::fs::{self, File};
use std::path::Path;

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
