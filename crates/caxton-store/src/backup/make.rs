//! Makes a backup, while others write.

use super::{BackupInfo, Entry, FORMAT, MANIFEST, Manifest, info, measure, shared_name, sync_dir};
use crate::error::{Error, io};
use crate::files::TENANTS_DIR;
use crate::migrate::SCHEMA_VERSION;
use crate::options::Options;
use caxton_core::Timestamp;
use caxton_engine::port::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

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

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || -> std::io::Result<()> {
        fs::write(path, bytes)?;
        File::open(path)?.sync_all()
    };
    write().map_err(|error| io("write", path, &error))
}
