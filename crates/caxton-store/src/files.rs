//! Which file a tenant's data is in: the shared one, or its own. Dedicated files are opened when
//! they are needed and the one unused the longest is closed for another, so that neither files nor
//! threads grow with tenants.

use crate::file::{Counts, Database};
use crate::options::Options;
use caxton_core::TenantId;
use caxton_engine::port::StoreError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The shared file's name in the data folder.
pub const SHARED_FILE: &str = "caxton.db";
/// The folder of dedicated files.
pub const TENANTS_DIR: &str = "tenants";

#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) shared: Arc<Database>,
    dedicated: Mutex<Dedicated>,
    options: Arc<Options>,
    epoch_floor: Arc<AtomicU64>,
    pub(crate) counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Dedicated {
    open: HashMap<TenantId, (u64, Arc<Database>)>,
    uses: u64,
}

/// The path of a tenant's own file. A tenant's id is never a path: core sees to that.
pub(crate) fn dedicated_path(dir: &Path, tenant: &TenantId) -> PathBuf {
    dir.join(TENANTS_DIR).join(format!("{tenant}.db"))
}

impl Files {
    pub(crate) fn open(options: &Arc<Options>) -> Result<Self, StoreError> {
        let epoch_floor = Arc::new(AtomicU64::new(0));
        let counts = Arc::new(Counts::default());
        let path = options.dir.join(SHARED_FILE);
        let shared = Database::start(&path, options, &epoch_floor, &counts)?;
        Ok(Self {
            shared: Arc::new(shared),
            dedicated: Mutex::default(),
            options: options.clone(),
            epoch_floor,
            counts,
        })
    }

    /// The tenant's file. Never waits for a disk.
    pub(crate) fn of(&self, tenant: &TenantId) -> Result<Arc<Database>, StoreError> {
        if !self.shared.shared.dedicated.read().contains(tenant) {
            return Ok(self.shared.clone());
        }
        let mut dedicated = self.dedicated.lock();
        dedicated.uses += 1;
        let now = dedicated.uses;
        if let Some((used, database)) = dedicated.open.get_mut(tenant) {
            *used = now;
            return Ok(database.clone());
        }
        if dedicated.open.len() >= self.options.tenants_open_max.max(1) {
            dedicated.close_idle()?;
        }
        let path = dedicated_path(&self.options.dir, tenant);
        let database = Database::start(&path, &self.options, &self.epoch_floor, &self.counts)?;
        let database = Arc::new(database);
        dedicated
            .open
            .insert(tenant.clone(), (now, database.clone()));
        Ok(database)
    }

    /// Tenants with a file of their own.
    pub(crate) fn dedicated(&self) -> Vec<TenantId> {
        let mut tenants: Vec<TenantId> = self
            .shared
            .shared
            .dedicated
            .read()
            .iter()
            .cloned()
            .collect();
        tenants.sort();
        tenants
    }
}

impl Dedicated {
    /// Closes the file unused the longest. One that somebody reads, or whose writer has work, is
    /// not closed: reopening it must wait until its writer is gone. (Nobody else can begin to use
    /// it meanwhile: that goes through this very lock.)
    fn close_idle(&mut self) -> Result<(), StoreError> {
        let idle = self
            .open
            .iter()
            .filter(|(_, (_, database))| Arc::strong_count(database) == 1 && database.is_idle())
            .min_by_key(|(_, (used, _))| *used)
            .map(|(tenant, _)| tenant.clone());
        match idle {
            Some(tenant) => {
                self.open.remove(&tenant);
                Ok(())
            }
            None => Err(StoreError::Busy),
        }
    }
}
