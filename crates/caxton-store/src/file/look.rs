//! Looks at a database file and changes nothing: whether it is ours, of a version that is known, and
//! whole. A server may have it open meanwhile.

use super::open;
use crate::error::Error;
use crate::migrate;
use crate::options::Options;
use caxton_engine::port::StoreError;
use std::path::Path;
use std::sync::Arc;

/// What was found of a file that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    pub bytes: u64,
    /// Whether every page was read and its sum compared; otherwise the file is larger than was asked.
    pub pages_read: bool,
}

/// Looks at a database; reads all of its pages if it has at most `bytes_max`.
///
/// # Errors
/// [`StoreError::Damaged`], [`StoreError::Newer`], or what keeps the file from being read.
pub fn look(path: &Path, bytes_max: u64) -> Result<Looked, StoreError> {
    open::check_header(path)?;
    let bytes = std::fs::metadata(path)
        .map_err(|error| crate::error::io("read", path, &error))?
        .len();
    let pages_read = bytes <= bytes_max;
    let options = Options::new("", Arc::new(caxton_engine::port::SystemClock));
    let look = || -> Result<(), Error> {
        crate::vfs::register(&options)?;
        let conn = open::reader(path, &options)?;
        migrate::check(&conn, &path.display().to_string())?;
        match pages_read {
            true => open::quick_check(&conn, path),
            false => Ok(()),
        }
    };
    look().map_err(|error| error.of(path))?;
    Ok(Looked { bytes, pages_read })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_that_is_whole_is_told_from_one_that_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let options = Options::new(dir.path(), Arc::new(caxton_engine::port::SystemClock));
        crate::vfs::register(&options).unwrap();
        let conn = open::writer(&path, &options).unwrap();
        // While it is open and most of it lies in the log, and after.
        assert!(look(&path, u64::MAX).unwrap().pages_read);
        drop(conn);
        let whole = look(&path, u64::MAX).unwrap();
        assert!(whole.pages_read && whole.bytes > 0);
        assert!(!look(&path, 1).unwrap().pages_read);

        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.len() - 100;
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let damaged = look(&path, u64::MAX);
        assert!(
            matches!(damaged, Err(StoreError::Damaged(_))),
            "{damaged:?}"
        );
        std::fs::write(&path, "no database at all").unwrap();
        assert!(look(&path, u64::MAX).is_err());
        assert!(look(&dir.path().join("none.db"), u64::MAX).is_err());
    }
}
