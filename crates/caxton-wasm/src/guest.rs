//! What a store holds beside the guest's own memory: the host of the message being handled (of a tool:
//! what it says in its log), the limits on growth, the meter, and WASI where the guest imports it.

use crate::meter::Meter;
use crate::tool::Said;
use crate::wasi::{Ports, Wasi};
use caxton_core::quota::Limits;
use caxton_engine::host::{Host, LogLevel};
use std::sync::Arc;
use wasmtime::ResourceLimiter;

/// The data of an instance's store.
pub(crate) struct Guest {
    /// There while `init` or `handle` runs; not while the start function does.
    pub(crate) host: Option<Host>,
    /// What a tool writes into its log; always there in a tool's store, and never in an agent's.
    pub(crate) said: Option<Said>,
    pub(crate) limiter: Limiter,
    pub(crate) meter: Meter,
    /// What the guest said about why its call fails.
    pub(crate) reason: Option<String>,
    /// Made by the first WASI call: an instance that never makes one does not pay for it.
    pub(crate) wasi: Option<Box<Wasi>>,
    pub(crate) wasi_ports: Arc<Ports>,
    pub(crate) limits: Arc<Limits>,
}

impl Guest {
    pub(crate) fn new(limits: Arc<Limits>, fuel_yield: u64, wasi_ports: Arc<Ports>) -> Self {
        Self {
            host: None,
            said: None,
            limiter: Limiter::new(&limits),
            meter: Meter::new(fuel_yield),
            reason: None,
            wasi: None,
            wasi_ports,
            limits,
        }
    }

    /// Writes a line into the log of whoever the guest is.
    pub(crate) fn log(&mut self, level: LogLevel, text: &str) {
        match (&mut self.host, &mut self.said) {
            (Some(host), _) => host.log(level, text),
            (None, Some(said)) => said.add(level, text),
            (None, None) => {}
        }
    }

    pub(crate) fn host(&mut self) -> wasmtime::Result<&mut Host> {
        self.host.as_mut().ok_or_else(|| {
            wasmtime::Error::msg("the start function may not call the host; do it in init")
        })
    }
}

/// Counts the growth of all memories and of all tables of one instance together.
pub(crate) struct Limiter {
    pub(crate) memory_bytes: usize,
    memory_bytes_max: usize,
    table_elements: usize,
    table_elements_max: usize,
    /// A growth was refused since the last message began: if the guest traps now, that is why.
    pub(crate) refused: Option<&'static str>,
}

impl Limiter {
    fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: 0,
            memory_bytes_max: usize::try_from(limits.memory_bytes_max).unwrap_or(usize::MAX),
            table_elements: 0,
            table_elements_max: limits.table_elements_max as usize,
            refused: None,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let all = self
            .memory_bytes
            .saturating_add(desired.saturating_sub(current));
        if all > self.memory_bytes_max || maximum.is_some_and(|max| desired > max) {
            self.refused = Some("memory_bytes_max");
            return Ok(false);
        }
        self.memory_bytes = all;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let all = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        if all > self.table_elements_max || maximum.is_some_and(|max| desired > max) {
            self.refused = Some("table_elements_max");
            return Ok(false);
        }
        self.table_elements = all;
        Ok(true)
    }

    fn instances(&self) -> usize {
        crate::validate::CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        crate::validate::TABLES_MAX
    }

    fn memories(&self) -> usize {
        crate::validate::MEMORIES_MAX
    }
}
