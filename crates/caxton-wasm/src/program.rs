//! Compiled code that is linked and ready: [`Code`], shared by all that have the same component, and
//! [`WasmProgram`], one agent's use of it under its own limits.

use crate::fault;
use crate::guest::Guest;
use crate::instance::{AgentExports, WasmBehavior};
use crate::meter::Busy;
use crate::validate::{Shape, World};
use crate::wasi;
use caxton_core::AgentId;
use caxton_core::error::{Code as ErrorCode, Error};
use caxton_core::quota::Limits;
use caxton_engine::port::{Answer, Behavior, Fault, Program};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre, Linker};

/// The most a guest's strings and lists may take of the host's memory in one call, whatever its own
/// memory is: lists may name the same bytes many times over.
const LIFTED_BYTES_MAX: u64 = 128 << 20;
/// And the least: small agents send messages too.
const LIFTED_BYTES_MIN: u64 = 4 << 20;
/// Component-model handles of one instance.
const HANDLES_MAX: usize = 4096;

/// What a component of one world is given, and where it has what the server calls.
pub(crate) trait Exports: Sized + Send + Sync + 'static {
    const WORLD: World;

    /// Adds what the world may import, WASI apart.
    fn offer(linker: &mut Linker<Guest>) -> wasmtime::Result<()>;

    /// Refuses a component of another world.
    fn find(component: &Component, pre: &InstancePre<Guest>) -> Result<Self, Error>;
}

/// A linked component.
pub(crate) struct Code<E> {
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) exports: E,
    imports_wasi: bool,
    pub(crate) shape: Shape,
}

impl<E: Exports> Code<E> {
    /// Links what is compiled. Everything about its types is known after this.
    pub(crate) fn link(
        linker: &Linker<Guest>,
        component: &Component,
        shape: Shape,
    ) -> Result<Self, Error> {
        let pre = linker.instantiate_pre(component).map_err(|error| {
            Error::new(
                ErrorCode::ComponentImport,
                format!("cannot be linked: {error:#}"),
            )
        })?;
        let exports = E::find(component, &pre)?;
        let engine = component.engine();
        let imports_wasi = component
            .component_type()
            .imports(engine)
            .any(|(name, _)| name.starts_with("wasi:"));
        Ok(Self {
            pre,
            exports,
            imports_wasi,
            shape,
        })
    }

    /// A store for an instance of the guest's limits, its tank full.
    pub(crate) fn store(
        &self,
        guest: Guest,
        lifted_bytes_max: u64,
    ) -> wasmtime::Result<Store<Guest>> {
        let (fuel, fuel_yield) = (guest.limits.fuel_per_message_max, guest.meter.fuel_yield());
        let mut store = Store::new(self.pre.engine(), guest);
        store.limiter(|guest| &mut guest.limiter);
        store.set_hostcall_fuel(usize::try_from(lifted_bytes_max).unwrap_or(usize::MAX));
        store.set_max_component_handles(HANDLES_MAX);
        store.fuel_async_yield_interval(Some(fuel_yield))?;
        store.set_fuel(fuel)?;
        if self.imports_wasi {
            wasi::charge_calls(&mut store);
        }
        Ok(store)
    }
}

/// An agent's program.
pub(crate) struct WasmProgram {
    pub(crate) code: Arc<Code<AgentExports>>,
    pub(crate) agent: AgentId,
    pub(crate) limits: Arc<Limits>,
    pub(crate) fuel_yield: u64,
    pub(crate) wasi_ports: Arc<wasi::Ports>,
}

impl fmt::Debug for WasmProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WasmProgram({})", self.agent)
    }
}

impl Program for WasmProgram {
    fn instantiate(&self) -> Answer<'_, Result<Box<dyn Behavior>, Fault>> {
        Box::pin(async move {
            let mut store = self.store().map_err(|error| internal(&error))?;
            let started = {
                let call = pin!(self.code.pre.instantiate_async(&mut store));
                Busy::new(
                    call,
                    self.limits.handle_timeout(),
                    self.limits.wait_timeout(),
                )
                .await
            };
            let instance = match started {
                Ok(Ok(instance)) => instance,
                Ok(Err(error)) => {
                    let fault = fault::of_error(&error, store.data());
                    return Err(fault::while_starting(fault));
                }
                Err(late) => return Err(fault::while_starting(fault::of_late(late, store.data()))),
            };
            let calls = self.code.exports.of(&mut store, &instance);
            let calls = calls.map_err(|error| internal(&error))?;
            let behavior: Box<dyn Behavior> =
                Box::new(WasmBehavior::new(store, calls, Arc::clone(&self.limits)));
            Ok(behavior)
        })
    }
}

impl WasmProgram {
    fn store(&self) -> wasmtime::Result<Store<Guest>> {
        let (limits, ports) = (Arc::clone(&self.limits), Arc::clone(&self.wasi_ports));
        let guest = Guest::new(limits, self.fuel_yield, ports);
        let lifted_bytes_max = self
            .limits
            .memory_bytes_max
            .clamp(LIFTED_BYTES_MIN, LIFTED_BYTES_MAX);
        self.code.store(guest, lifted_bytes_max)
    }
}

fn internal(error: &wasmtime::Error) -> Fault {
    Fault::new(
        caxton_engine::port::behavior::FaultKind::Internal,
        format!("{error:#}"),
    )
}
