//! What looks at all tenants' files: the full check, and backups. Here and not beside the readers,
//! for a tenant must not move between two files of one backup.

use super::Tenants;
use crate::backup;
use crate::file::Database;
use crate::rows;
use caxton_core::TenantId;
use caxton_engine::port::StoreError;
use caxton_engine::port::store::BackupInfo;
use std::path::Path;
use std::sync::Arc;

impl Tenants {
    /// Checks every file.
    pub(crate) fn verify(&self) -> Result<(), StoreError> {
        self.each_file(|_, database| {
            let conn = self.reader(database)?;
            let path = &database.shared.path;
            rows::verify(&conn, &database.shared).map_err(|error| error.of(path))
        })
    }

    pub(crate) fn back_up(&self, into: &Path) -> Result<BackupInfo, StoreError> {
        let writing = backup::Writing::begin(into)?;
        self.each_file(|tenant, database| {
            let name = tenant.map_or_else(backup::shared_name, backup::dedicated_name);
            let conn = self.reader(database)?;
            let path = &database.shared.path;
            let copied = backup::copy(&conn, &writing.path_of(&name), &self.options);
            copied.map_err(|error| error.of(path))
        })?;
        writing.finish(self.options.clock.now())
    }

    /// One after the other: a dedicated file is open only while it is looked at.
    fn each_file(
        &self,
        look: impl Fn(Option<&TenantId>, &Database) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        look(None, &self.files.shared)?;
        for tenant in self.files.dedicated() {
            self.files.go_on()?;
            let database: Arc<Database> = self.files.of(&tenant)?;
            look(Some(&tenant), &database)?;
        }
        Ok(())
    }
}
