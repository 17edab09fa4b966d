//! The backups that lie on disk, as the doors see them. Taking one is `App`'s; what a taken one
//! looks like inside only the store's adapter knows, so listing and verifying come in as a port.

use std::fmt;

use caxton_core::error::Error;
use caxton_engine::port::Answer;
use caxton_engine::port::store::BackupInfo;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The backup, as its own record has it.
    pub backup: BackupInfo,
    /// What is wrong with it, one line each; none where it is good.
    pub problems: Vec<String>,
}

/// The backups in the backups' folder.
pub trait Backups: Send + Sync + fmt::Debug {
    /// All of them, in any order. A folder that is no backup is passed over.
    fn list(&self) -> Answer<'_, Result<Vec<BackupInfo>, Error>>;

    /// Reads a backup from end to end. A damaged one is an answer and not an error.
    ///
    /// `name` is one [`Backups::list`] gave.
    fn verify(&self, name: String) -> Answer<'_, Result<Verified, Error>>;
}

/// No backups, for a store that has nothing to back up.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoBackups;

impl Backups for NoBackups {
    fn list(&self) -> Answer<'_, Result<Vec<BackupInfo>, Error>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn verify(&self, name: String) -> Answer<'_, Result<Verified, Error>> {
        let error = Error::new(
            caxton_core::Code::BackupNotFound,
            format!("there is no backup {}", caxton_core::error::shown(&name)),
        );
        Box::pin(std::future::ready(Err(error)))
    }
}
