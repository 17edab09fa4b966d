//! One server per data folder. The lock is the operating system's and dies with its process, so that
//! a kill leaves nothing to clean up.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// The lock's file in the data folder. It stays when the lock is gone: only the lock counts.
const LOCK_FILE: &str = "caxton.lock";

/// The lock of a data folder, held until it is dropped.
#[derive(Debug)]
pub struct DataLock {
    file: File,
    path: PathBuf,
}

/// Why the folder is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another server{} uses {}", .holder.map(|id| format!(" (process {id})")).unwrap_or_default(), .path.display())]
    Held { path: PathBuf, holder: Option<u32> },
    #[error("cannot lock {}", .path.display())]
    Failed {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Takes the folder for this process; makes it if it is not there. Never waits.
pub fn lock_data_dir(dir: &Path) -> Result<DataLock, LockError> {
    let path = dir.join(LOCK_FILE);
    let fail = |source| LockError::Failed {
        path: path.clone(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(fail)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.read_to_string(&mut text);
            let holder = read.ok().and_then(|_| text.trim().parse().ok());
            return Err(LockError::Held {
                path: dir.to_owned(),
                holder,
            });
        }
        Err(TryLockError::Error(source)) => return Err(fail(source)),
    }
    // For whoever is refused; nothing reads it to decide.
    let note = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    note(&mut file).map_err(fail)?;
    Ok(DataLock { file, path })
}

impl DataLock {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DataLock {
    fn drop(&mut self) {
        // Closing the file would do; saying so is for the reader.
        self.file.unlock().ok();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_has_one_server() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock_data_dir(dir.path()).unwrap();
        let error = lock_data_dir(dir.path()).unwrap_err();
        let own = Some(std::process::id());
        assert!(
            matches!(&error, LockError::Held { holder, .. } if *holder == own),
            "{error}"
        );
        drop(first);
        lock_data_dir(dir.path()).unwrap();
    }

    #[test]
    fn a_stale_file_locks_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(LOCK_FILE), "999999").unwrap();
        lock_data_dir(dir.path()).unwrap();
    }
}
