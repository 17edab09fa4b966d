//! A live instance: one store, one message at a time.

use crate::abi::{self, Form};
use crate::bindings::behavior::{Guest as TypedCalls, GuestIndices};
use crate::fault;
use crate::guest::Guest;
use crate::host::{self, PACKED_BEHAVIOR};
use crate::message::{Contacts, Lowering, Names};
use crate::meter::{Busy, Late};
use crate::program::Exports;
use crate::validate::World;
use crate::{packed, wasi};
use caxton_core::error::{Code, Error};
use caxton_core::quota::Limits;
use caxton_core::{Acl, Message};
use caxton_engine::host::Host;
use caxton_engine::port::behavior::FaultKind;
use caxton_engine::port::{Answer, Behavior, Fault};
use std::pin::pin;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{
    Component, ComponentExportIndex, Instance, InstancePre, Linker, TypedFunc,
};

/// Where a component has the functions that the server calls.
pub(crate) enum AgentExports {
    Typed(GuestIndices),
    Packed {
        init: ComponentExportIndex,
        handle: ComponentExportIndex,
    },
}

impl Exports for AgentExports {
    const WORLD: World = World::Agent;

    fn offer(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
        host::add_to_linker(linker)
    }

    fn find(component: &Component, pre: &InstancePre<Guest>) -> Result<Self, Error> {
        let missing = |what: String| Error::new(Code::ComponentWorld, what);
        match abi::check(component)? {
            Form::Typed => GuestIndices::new(pre)
                .map(Self::Typed)
                .map_err(|error| missing(format!("{error:#}"))),
            Form::Packed => {
                let interface = component.get_export_index(None, PACKED_BEHAVIOR);
                let find = |name: &str| {
                    let function = component.get_export_index(interface.as_ref(), name);
                    function.ok_or_else(|| missing(format!("{PACKED_BEHAVIOR} has no `{name}`")))
                };
                Ok(Self::Packed {
                    init: find("init")?,
                    handle: find("handle")?,
                })
            }
        }
    }
}

impl AgentExports {
    pub(crate) fn of(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
    ) -> wasmtime::Result<Calls> {
        Ok(match self {
            Self::Typed(indices) => Calls::Typed(indices.load(store, instance)?),
            Self::Packed { init, handle } => Calls::Packed {
                init: instance.get_typed_func(&mut *store, init)?,
                handle: instance.get_typed_func(&mut *store, handle)?,
            },
        })
    }
}

/// The functions of a live instance.
pub(crate) enum Calls {
    Typed(TypedCalls),
    Packed {
        init: TypedFunc<(), (Answered,)>,
        handle: TypedFunc<(Vec<u8>, u32), (Answered,)>,
    },
}

/// What a packed call answers; the reason of a failure is in [`Guest::reason`].
type Answered = Result<(), ()>;

impl Calls {
    async fn init(&self, store: &mut Store<Guest>) -> wasmtime::Result<Result<(), String>> {
        match self {
            Self::Typed(calls) => calls.call_init(store).await,
            Self::Packed { init, .. } => {
                let (answered,) = init.call_async(&mut *store, ()).await?;
                Ok(answered.map_err(|()| reason(store)))
            }
        }
    }

    async fn handle(
        &self,
        store: &mut Store<Guest>,
        acl: &Acl,
    ) -> wasmtime::Result<Result<(), String>> {
        match self {
            Self::Typed(calls) => {
                let names = Names::of(acl);
                let contacts = Contacts::of(acl, &names);
                let lowering = Lowering::of(acl, &names, &contacts);
                calls.call_handle(store, lowering.record()).await
            }
            Self::Packed { handle, .. } => {
                // More content than a guest's memory can take does not fit it either way.
                let content_bytes = u32::try_from(acl.content.len()).unwrap_or(u32::MAX);
                let arguments = (packed::write(acl), content_bytes);
                let (answered,) = handle.call_async(&mut *store, arguments).await?;
                Ok(answered.map_err(|()| reason(store)))
            }
        }
    }
}

fn reason(store: &mut Store<Guest>) -> String {
    let said = store.data_mut().reason.take();
    said.unwrap_or_else(|| "it gave no reason".to_owned())
}

/// How a call ended: given up on, trapped, or answered.
type Ended = Result<wasmtime::Result<Result<(), String>>, Late>;

/// An instance of an agent's component.
pub(crate) struct WasmBehavior {
    store: Store<Guest>,
    calls: Calls,
    limits: Arc<Limits>,
    /// A fault, or a call dropped midway, left the guest in a state nobody knows.
    lost: bool,
}

impl WasmBehavior {
    pub(crate) fn new(store: Store<Guest>, calls: Calls, limits: Arc<Limits>) -> Self {
        Self {
            store,
            calls,
            limits,
            lost: false,
        }
    }

    /// Puts the host in and fills the tank. `Err` gives the host back: the instance is lost.
    fn begin(&mut self, host: Host) -> Result<(), (Host, Fault)> {
        let fuel = self.limits.fuel_per_message_max;
        if self.lost || self.store.set_fuel(fuel).is_err() {
            let fault = Fault::new(
                FaultKind::Internal,
                "the instance was lost to a fault before",
            );
            return Err((host, fault));
        }
        let guest = self.store.data_mut();
        guest.host = Some(host);
        guest.limiter.refused = None;
        guest.reason = None;
        guest.meter.begin(fuel);
        self.lost = true;
        Ok(())
    }

    /// Takes the host out and says what happened.
    fn end(&mut self, ended: Ended) -> (Host, Result<(), Fault>) {
        // Out of fuel, it has none left.
        let left = self.store.get_fuel().unwrap_or(0);
        let guest = self.store.data_mut();
        let left = left.saturating_sub(guest.meter.debt());
        wasi::flush_all(guest);
        let result = match ended {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(text))) => Err(Fault::new(FaultKind::Handler, text)),
            Ok(Err(error)) => Err(fault::of_error(&error, guest)),
            Err(late) => Err(fault::of_late(late, guest)),
        };
        let fatal = result.as_ref().is_err_and(Fault::is_fatal);
        let Some(mut host) = guest.host.take() else {
            unreachable!("begin put the host in, and host calls only borrow it");
        };
        host.burned(self.limits.fuel_per_message_max.saturating_sub(left));
        host.holds(guest.limiter.memory_bytes as u64);
        self.lost = fatal;
        (host, result)
    }
}

impl Behavior for WasmBehavior {
    fn init(&mut self, host: Host) -> Answer<'_, (Host, Result<(), Fault>)> {
        Box::pin(async move {
            if let Err((host, fault)) = self.begin(host) {
                return (host, Err(fault));
            }
            let ended = {
                let call = pin!(self.calls.init(&mut self.store));
                Busy::new(
                    call,
                    self.limits.handle_timeout(),
                    self.limits.wait_timeout(),
                )
                .await
            };
            let (host, result) = self.end(ended);
            let result = result.map_err(fault::while_starting);
            self.lost = result.is_err();
            (host, result)
        })
    }

    fn handle(
        &mut self,
        host: Host,
        message: Arc<Message>,
    ) -> Answer<'_, (Host, Result<(), Fault>)> {
        Box::pin(async move {
            if let Err((host, fault)) = self.begin(host) {
                return (host, Err(fault));
            }
            let ended = {
                let call = pin!(self.calls.handle(&mut self.store, &message.acl));
                Busy::new(
                    call,
                    self.limits.handle_timeout(),
                    self.limits.wait_timeout(),
                )
                .await
            };
            self.end(ended)
        })
    }
}
