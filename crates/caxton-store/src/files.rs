//! Which file a tenant's data is in: the shared one, or its own. Dedicated files are opened when
//! they are needed and the one unused the longest is closed for another, so that neither files nor
//! threads grow with tenants.

use crate::file::answer::answer;
use crate::file::{Answer, Counts, Database, Map, Prepared, Reply};
use crate::options::Options;
use caxton_core::TenantId;
use caxton_engine::port::StoreError;
use parking_lot::{Mutex, RwLock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The shared file's name in the data folder.
pub const SHARED_FILE: &str = "caxton.db";
/// The folder of dedicated files.
pub const TENANTS_DIR: &str = "tenants";

#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) shared: Arc<Database>,
    dedicated: Mutex<Dedicated>,
    /// Tenants whose data is on the move, with the units that wait for its end. Whoever finds a
    /// tenant's file holds this until his work is in the file's queue: so whoever changes the way
    /// knows that all former work is in the former queue.
    held: RwLock<Map<TenantId, Mutex<Held>>>,
    /// A unit was refused because its tenant's place is undecided: somebody should decide it.
    pub(crate) undecided: AtomicBool,
    /// The store is being closed: long work ends at its next step.
    pub(crate) closing: AtomicBool,
    options: Arc<Options>,
    epoch_floor: Arc<AtomicU64>,
    pub(crate) counts: Arc<Counts>,
}

/// Units that wait, within the bounds of a file's queue.
#[derive(Debug, Default)]
struct Held {
    units: Vec<(Prepared, Reply)>,
    bytes: usize,
    /// Where it is unknown which place counts: then nothing is accepted.
    undecided: Option<StoreError>,
}

#[derive(Debug, Default)]
struct Dedicated {
    open: Map<TenantId, (u64, Arc<Database>)>,
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
            held: RwLock::default(),
            undecided: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            options: options.clone(),
            epoch_floor,
            counts,
        })
    }

    /// Puts the unit into its file's queue, or to those that wait for their tenant.
    pub(crate) fn commit(&self, prepared: Prepared) -> Result<Answer, StoreError> {
        let held = self.held.read();
        let tenant = prepared.unit.scope.tenant();
        let Some(waiting) = held.get(tenant) else {
            return self.of(tenant)?.commit(prepared);
        };
        let mut waiting = waiting.lock();
        if let Some(error) = &waiting.undecided {
            self.undecided.store(true, Ordering::Release);
            return Err(error.clone());
        }
        let bytes = waiting.bytes.saturating_add(prepared.bytes);
        let full = waiting.units.len() >= self.options.queue_units_max;
        if full || (bytes > self.options.queue_bytes_max && !waiting.units.is_empty()) {
            return Err(StoreError::Busy);
        }
        let (reply, answer) = answer();
        waiting.bytes = bytes;
        waiting.units.push((prepared, reply));
        Ok(answer)
    }

    /// Finds the tenant's file and puts work into a queue of it, as one step.
    pub(crate) fn with<T>(
        &self,
        tenant: &TenantId,
        queue: impl FnOnce(Arc<Database>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _held = self.held.read();
        queue(self.of(tenant)?)
    }

    /// From now on the tenant's units wait.
    pub(crate) fn hold(&self, tenant: &TenantId) {
        self.held.write().entry(tenant.clone()).or_default();
    }

    /// Changes the way to the tenant's data, and sends it whoever waited, in order.
    pub(crate) fn release(&self, tenant: &TenantId, change: impl FnOnce()) {
        let mut held = self.held.write();
        change();
        let waiting = held.remove(tenant).map(Mutex::into_inner);
        let units = waiting.unwrap_or_default().units;
        if units.is_empty() {
            return;
        }
        match self.of(tenant) {
            Ok(database) => database.commit_waiting(units),
            Err(error) => {
                for (_, reply) in units {
                    reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Refuses the units that wait, and all to come until [`Files::release`].
    pub(crate) fn refuse(&self, tenant: &TenantId, error: &StoreError) {
        let held = self.held.write();
        let Some(waiting) = held.get(tenant) else {
            return;
        };
        let mut waiting = waiting.lock();
        waiting.undecided = Some(error.clone());
        for (_, reply) in waiting.units.drain(..) {
            reply.send(Err(error.clone()));
        }
    }

    /// Tenants whose units are refused.
    pub(crate) fn undecided(&self) -> Vec<TenantId> {
        let held = self.held.read();
        let undecided = held
            .iter()
            .filter(|(_, held)| held.lock().undecided.is_some());
        undecided.map(|(tenant, _)| tenant.clone()).collect()
    }

    /// A file that is no tenant's yet, to be filled.
    pub(crate) fn new_file(&self, tenant: &TenantId) -> Result<Database, StoreError> {
        let path = self.path_of(tenant);
        Database::start(&path, &self.options, &self.epoch_floor, &self.counts)
    }

    pub(crate) fn path_of(&self, tenant: &TenantId) -> PathBuf {
        dedicated_path(&self.options.dir, tenant)
    }

    /// Lets go of a dedicated file that is the tenant's no more.
    pub(crate) fn forget_file(&self, tenant: &TenantId) -> Option<Arc<Database>> {
        let found = self.dedicated.lock().open.remove(tenant);
        found.map(|(_, database)| database)
    }

    /// Ends long work where the store is being closed.
    pub(crate) fn go_on(&self) -> Result<(), StoreError> {
        if self.closing.load(Ordering::Relaxed) {
            return Err(crate::file::stopped());
        }
        Ok(())
    }

    pub(crate) fn is_dedicated(&self, tenant: &TenantId) -> bool {
        self.shared.shared.dedicated.read().contains(tenant)
    }

    /// The tenant's file. Never waits for a disk.
    pub(crate) fn of(&self, tenant: &TenantId) -> Result<Arc<Database>, StoreError> {
        if !self.is_dedicated(tenant) {
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
        let database = Arc::new(self.new_file(tenant)?);
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
