//! The server's sandbox without its limits: no fuel, no yielding, no clock on the guest, no bounds on
//! memory and tables, no price of host calls. An agent of this program runs in the same engine and
//! its messages are lowered and lifted by the server's own code, so that what is between the two is
//! what the limits cost.

use super::bare;
use crate::bindings::exports::caxton::agent::behavior::{Guest as Exports, GuestIndices};
use crate::bindings::{caxton::agent as world, types};
use crate::lowering::{Contacts, Lowering, Names, lift};
use caxton_core::Message;
use caxton_core::error::Error;
use caxton_engine::host::Host;
use caxton_engine::port::behavior::FaultKind;
use caxton_engine::port::{Answer, Behavior, Fault, Program};
use std::sync::Arc;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Engine, Store};

/// A linked component.
pub struct Unlimited {
    pre: InstancePre<Guest>,
    exports: GuestIndices,
}

impl std::fmt::Debug for Unlimited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unlimited")
    }
}

impl Unlimited {
    pub fn new(component: &[u8], instances_max: u32) -> wasmtime::Result<Self> {
        let engine = Engine::new(&bare::config(bare::Metering::Off, Some(instances_max)))?;
        let mut linker = Linker::new(&engine);
        let add = &mut linker;
        world::types::add_to_linker::<_, HasSelf<_>>(add, |guest: &mut Guest| guest)?;
        world::messaging::add_to_linker::<_, HasSelf<_>>(add, |guest: &mut Guest| guest)?;
        linker.define_unknown_imports_as_traps(&Component::new(&engine, component)?)?;
        let pre = linker.instantiate_pre(&Component::new(&engine, component)?)?;
        let exports = GuestIndices::new(&pre)?;
        Ok(Self { pre, exports })
    }
}

impl Program for Unlimited {
    fn instantiate(&self) -> Answer<'_, Result<Box<dyn Behavior>, Fault>> {
        Box::pin(async move {
            let mut store = Store::new(self.pre.engine(), Guest { host: None });
            let instance = self.pre.instantiate_async(&mut store).await;
            let instance = instance.map_err(|error| trap(&error))?;
            let exports = self.exports.load(&mut store, &instance);
            let exports = exports.map_err(|error| trap(&error))?;
            let behavior: Box<dyn Behavior> = Box::new(Instance { store, exports });
            Ok(behavior)
        })
    }
}

struct Guest {
    host: Option<Host>,
}

struct Instance {
    store: Store<Guest>,
    exports: Exports,
}

type Ended = wasmtime::Result<Result<(), String>>;

impl Instance {
    fn end(&mut self, ended: Ended) -> (Host, Result<(), Fault>) {
        let Some(host) = self.store.data_mut().host.take() else {
            unreachable!("it was put in before the call, and host calls only borrow it");
        };
        let result = match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(text)) => Err(Fault::new(FaultKind::Handler, text)),
            Err(error) => Err(trap(&error)),
        };
        (host, result)
    }
}

impl Behavior for Instance {
    fn init(&mut self, host: Host) -> Answer<'_, (Host, Result<(), Fault>)> {
        Box::pin(async move {
            self.store.data_mut().host = Some(host);
            let ended = self.exports.call_init(&mut self.store).await;
            self.end(ended)
        })
    }

    fn handle(
        &mut self,
        host: Host,
        message: Arc<Message>,
    ) -> Answer<'_, (Host, Result<(), Fault>)> {
        Box::pin(async move {
            self.store.data_mut().host = Some(host);
            let names = Names::of(&message.acl);
            let contacts = Contacts::of(&message.acl, &names);
            let lowering = Lowering::of(&message.acl, &names, &contacts);
            let ended = self
                .exports
                .call_handle(&mut self.store, lowering.record())
                .await;
            self.end(ended)
        })
    }
}

fn trap(error: &wasmtime::Error) -> Fault {
    Fault::new(FaultKind::Trap, format!("{error:#}"))
}

impl world::types::Host for Guest {}

impl world::messaging::Host for Guest {
    fn current(&mut self) -> wasmtime::Result<Option<world::messaging::Delivery>> {
        Err(wasmtime::Error::msg("the agents of this bench do not ask"))
    }

    fn send(
        &mut self,
        message: types::MessageResult,
    ) -> wasmtime::Result<Result<String, types::Error>> {
        let host = self.host.as_mut();
        let host = host.ok_or_else(|| wasmtime::Error::msg("no message is being handled"))?;
        let sent = lift(message, &host.agent().tenant).and_then(|acl| host.send(acl));
        Ok(sent.map(|id| id.to_string()).map_err(refusal))
    }

    fn call(
        &mut self,
        _message: types::MessageResult,
        _timeout_ms: u32,
    ) -> wasmtime::Result<Result<types::MessageResult, types::Error>> {
        Err(wasmtime::Error::msg("the agents of this bench do not call"))
    }
}

fn refusal(error: Error) -> types::Error {
    types::Error {
        code: error.code.as_str().to_owned(),
        message: error.detail,
    }
}
