//! What goes wrong inside the adapter, and how the port says it.

use crate::codec::Malformed;
use caxton_engine::port::StoreError;
use rusqlite::ErrorCode;
use std::path::Path;

/// A failed statement or row. The file's name is added where it leaves the file's own code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    #[error("a row cannot be read: {0}")]
    Row(#[from] Malformed),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// Whether only the unit at hand is at fault, and not the file or the disk under it.
    pub(crate) fn is_of_the_unit(&self) -> bool {
        match self {
            Self::Sql(error) => matches!(
                error.sqlite_error_code(),
                None | Some(
                    ErrorCode::TooBig
                        | ErrorCode::ConstraintViolation
                        | ErrorCode::TypeMismatch
                        | ErrorCode::ParameterOutOfRange
                )
            ),
            Self::Row(_) => false,
            Self::Store(error) => matches!(error, StoreError::Fenced | StoreError::Failed(_)),
        }
    }

    pub(crate) fn of(self, file: &Path) -> StoreError {
        let place = file.display();
        match self {
            Self::Store(error) => error,
            Self::Row(error) => StoreError::Damaged(format!("{place}: {error}")),
            Self::Sql(error) => {
                let text = format!("{place}: {error}");
                match error.sqlite_error_code() {
                    Some(ErrorCode::DiskFull) => StoreError::Full(text),
                    Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                        StoreError::Damaged(text)
                    }
                    Some(ErrorCode::SystemIoFailure) if is_checksum(&error) => {
                        StoreError::Damaged(format!("{place}: a page does not match its checksum"))
                    }
                    // The index of the log could not grow.
                    Some(ErrorCode::SystemIoFailure)
                        if extended(&error) == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) =>
                    {
                        StoreError::Full(text)
                    }
                    Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
                    // A value of a type that its column cannot have.
                    None if !matches!(error, rusqlite::Error::SqliteFailure(..)) => {
                        StoreError::Damaged(text)
                    }
                    _ => StoreError::Failed(text),
                }
            }
        }
    }
}

fn is_checksum(error: &rusqlite::Error) -> bool {
    extended(error) == Some(rusqlite::ffi::SQLITE_IOERR_DATA)
}

fn extended(error: &rusqlite::Error) -> Option<std::ffi::c_int> {
    error.sqlite_error().map(|error| error.extended_code)
}

/// A failure of the file system, outside SQLite.
pub(crate) fn io(doing: &str, path: &Path, error: &std::io::Error) -> StoreError {
    let text = format!("cannot {doing} {}: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            StoreError::Full(text)
        }
        _ => StoreError::Failed(text),
    }
}
