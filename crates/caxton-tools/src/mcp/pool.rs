//! Connections that are kept: one for each tenant and revision of a tool. A tool of the operator's is
//! called for many tenants and has a connection for each, since a server may remember who said what.

use super::Options;
use super::connection::Connection;
use caxton_core::TenantId;
use caxton_core::tool::ToolName;
use caxton_engine::port::tool::{ToolFault, ToolFaultKind, ToolTarget};
use caxton_engine::task::Tasks;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    tenant: TenantId,
    name: ToolName,
    revision: u64,
}

type Slots = Mutex<HashMap<Key, Slot>>;

#[derive(Debug)]
pub struct Pool {
    slots: Arc<Slots>,
    connections_max: usize,
    per_tenant_max: usize,
    idle_timeout: Duration,
    sweeps: AtomicBool,
    tasks: Tasks,
}

/// A place for one connection. Whoever connects holds it, so that all others wait for that one.
#[derive(Clone, Debug)]
pub struct Slot {
    held: Arc<tokio::sync::Mutex<Option<Arc<Connection>>>>,
    used: Arc<Mutex<Instant>>,
}

/// Somebody uses the connection: it is not idle.
#[derive(Debug)]
pub struct Held(Slot);

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.used.lock() = Instant::now();
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            held: Arc::default(),
            used: Arc::new(Mutex::new(Instant::now())),
        }
    }

    pub async fn lock(&self) -> tokio::sync::MutexGuard<'_, Option<Arc<Connection>>> {
        self.held.lock().await
    }

    pub fn hold(&self) -> Held {
        Held(self.clone())
    }

    /// The map's own share is the only one.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.used) == 1
    }
}

impl Pool {
    pub fn new(options: &Options) -> Self {
        Self {
            slots: Arc::default(),
            connections_max: options.connections_max.max(1),
            per_tenant_max: options.connections_per_tenant_max.max(1),
            idle_timeout: options.idle_timeout,
            sweeps: AtomicBool::new(false),
            tasks: Tasks::new(),
        }
    }

    /// The place of a tool's connection. Where there are too many, the one that was idle for longest
    /// goes; of one's own first. Faults: all of them are in use.
    pub fn slot(&self, target: &ToolTarget) -> Result<Slot, ToolFault> {
        self.sweep_from_now_on();
        let key = Key {
            tenant: target.tenant.clone(),
            name: target.name.clone(),
            revision: target.revision,
        };
        let mut slots = self.slots.lock();
        if let Some(found) = slots.get(&key) {
            return Ok(found.clone());
        }
        let own = slots.keys().filter(|it| it.tenant == key.tenant).count();
        let is_crowded_by_own = own >= self.per_tenant_max;
        if is_crowded_by_own || slots.len() >= self.connections_max {
            let oldest = slots
                .iter()
                .filter(|(it, _)| !is_crowded_by_own || it.tenant == key.tenant)
                .filter(|(_, slot)| slot.is_idle())
                .min_by_key(|(_, slot)| *slot.used.lock())
                .map(|(key, _)| key.clone());
            let Some(oldest) = oldest else {
                return Err(ToolFault::new(
                    ToolFaultKind::Unavailable,
                    "too many MCP servers are in use at once",
                ));
            };
            slots.remove(&oldest);
        }
        let slot = Slot::new();
        slots.insert(key, slot.clone());
        Ok(slot)
    }

    pub fn forget(&self, tenant: &TenantId, name: &ToolName) {
        let mut slots = self.slots.lock();
        slots.retain(|key, _| key.tenant != *tenant || key.name != *name);
    }

    /// Connections in use or kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.slots.lock().len()
    }

    fn sweep_from_now_on(&self) {
        if self.sweeps.swap(true, Ordering::AcqRel) {
            return;
        }
        let (slots, idle) = (Arc::downgrade(&self.slots), self.idle_timeout);
        self.tasks
            .spawn_until_stop("mcp sweeper", sweep(slots, idle));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.tasks.begin_stop();
    }
}

async fn sweep(slots: Weak<Slots>, idle_timeout: Duration) {
    let mut turn = tokio::time::interval((idle_timeout / 4).max(Duration::from_millis(10)));
    loop {
        turn.tick().await;
        let Some(slots) = slots.upgrade() else { return };
        let fresh = |slot: &Slot| !slot.is_idle() || slot.used.lock().elapsed() < idle_timeout;
        slots.lock().retain(|_, slot| fresh(slot));
    }
}
