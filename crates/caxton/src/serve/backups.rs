//! The gateway's view of the backups on disk, over the store's own reading of them.

use caxton_core::error::{Code, Error};
use caxton_engine::port::Answer;
use caxton_engine::port::store::BackupInfo;
use caxton_gateway::{Backups, Verified};
use caxton_store::BackupError;
use std::path::PathBuf;

/// The backups in one folder.
#[derive(Debug)]
pub struct StoreBackups {
    dir: PathBuf,
}

impl StoreBackups {
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn verified(&self, name: &str) -> Result<Verified, Error> {
        let found = caxton_store::list_backups(&self.dir).map_err(error)?;
        let Some(backup) = found.into_iter().find(|backup| backup.name == name) else {
            return Err(Error::new(
                Code::BackupNotFound,
                format!("there is no backup {name}"),
            ));
        };
        // Only the name of a backup that is listed becomes a path.
        match caxton_store::verify_backup(&self.dir.join(&backup.name)) {
            Ok(backup) => Ok(Verified {
                backup,
                problems: Vec::new(),
            }),
            Err(BackupError::Damaged { file, reason }) => Ok(Verified {
                backup,
                problems: vec![format!("{}: {reason}", file.display())],
            }),
            Err(other) => Err(error(other)),
        }
    }
}

impl Backups for StoreBackups {
    fn list(&self) -> Answer<'_, Result<Vec<BackupInfo>, Error>> {
        Box::pin(async { blocking(|| caxton_store::list_backups(&self.dir).map_err(error)) })
    }

    fn verify(&self, name: String) -> Answer<'_, Result<Verified, Error>> {
        Box::pin(async move { blocking(|| self.verified(&name)) })
    }
}

/// Reading gigabytes takes its time: the thread's other tasks move elsewhere.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// A backup's fault as a refusal with its code.
pub fn error(error: BackupError) -> Error {
    let code = match &error {
        BackupError::Missing(_) => Code::BackupNotFound,
        BackupError::Damaged { .. } => Code::BackupDamaged,
        BackupError::Newer { .. } => Code::SchemaNewer,
        BackupError::NotEmpty(_) => Code::ConfigInvalid,
        BackupError::Store(store) => return store.clone().into(),
    };
    Error::new(code, error.to_string())
}
