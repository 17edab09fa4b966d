//! The server's sandbox without its limits: no fuel, no yielding, no clock on the guest, no bounds on
//! memory and tables, no price of host calls. An agent of this program runs in the same engine and
//! its messages are packed and read by the server's own code, so that what is between the two is
//! what the limits cost.

use super::bare::{self, Answered, Exports, Refusal};
use crate::packed;
use bytes::Bytes;
use caxton_core::error::Error;
use caxton_core::{Message, MessageId};
use caxton_engine::host::Host;
use caxton_engine::port::behavior::FaultKind;
use caxton_engine::port::{Answer, Behavior, Fault, Program};
use std::sync::Arc;
use wasmtime::component::{Component, InstancePre, Linker, TypedFunc, WasmList};
use wasmtime::{Engine, Store, StoreContextMut};

/// A linked component.
pub struct Unlimited {
    pre: InstancePre<Guest>,
    exports: Exports,
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
        let component = Component::new(&engine, component)?;
        linker.define_unknown_imports_as_traps(&component)?;
        linker.allow_shadowing(true);
        let mut messages = linker.instance("caxton:agent/packed@1.0.0")?;
        messages.func_wrap_async("send", |store, (content, head): (Vec<u8>, WasmList<u8>)| {
            Box::new(async move {
                let sent = send(store, content, &head)?;
                Ok((sent.map(halves).map_err(refusal),))
            })
        })?;
        let pre = linker.instantiate_pre(&component)?;
        let exports = Exports::of(&component)?;
        Ok(Self { pre, exports })
    }
}

impl Program for Unlimited {
    fn instantiate(&self) -> Answer<'_, Result<Box<dyn Behavior>, Fault>> {
        Box::pin(async move {
            let mut store = Store::new(self.pre.engine(), Guest { host: None });
            let instance = self.pre.instantiate_async(&mut store).await;
            let instance = instance.map_err(|error| trap(&error))?;
            let init = instance.get_typed_func(&mut store, self.exports.init);
            let handle = instance.get_typed_func(&mut store, self.exports.handle);
            let behavior: Box<dyn Behavior> = Box::new(Instance {
                init: init.map_err(|error| trap(&error))?,
                handle: handle.map_err(|error| trap(&error))?,
                store,
            });
            Ok(behavior)
        })
    }
}

struct Guest {
    host: Option<Host>,
}

struct Instance {
    store: Store<Guest>,
    init: TypedFunc<(), (Answered,)>,
    handle: TypedFunc<(Vec<u8>, u32), (Answered,)>,
}

type Ended = wasmtime::Result<(Answered,)>;

impl Instance {
    fn end(&mut self, ended: Ended) -> (Host, Result<(), Fault>) {
        let Some(host) = self.store.data_mut().host.take() else {
            unreachable!("it was put in before the call, and host calls only borrow it");
        };
        let result = match ended {
            Ok((Ok(()),)) => Ok(()),
            Ok((Err(()),)) => Err(Fault::new(FaultKind::Handler, "it failed")),
            Err(error) => Err(trap(&error)),
        };
        (host, result)
    }
}

impl Behavior for Instance {
    fn init(&mut self, host: Host) -> Answer<'_, (Host, Result<(), Fault>)> {
        Box::pin(async move {
            self.store.data_mut().host = Some(host);
            let ended = self.init.call_async(&mut self.store, ()).await;
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
            let content_bytes = u32::try_from(message.acl.content.len()).unwrap_or(u32::MAX);
            let arguments = (packed::write(&message.acl), content_bytes);
            let ended = self.handle.call_async(&mut self.store, arguments).await;
            self.end(ended)
        })
    }
}

fn trap(error: &wasmtime::Error) -> Fault {
    Fault::new(FaultKind::Trap, format!("{error:#}"))
}

fn send(
    mut store: StoreContextMut<'_, Guest>,
    content: Vec<u8>,
    head: &WasmList<u8>,
) -> wasmtime::Result<Result<MessageId, Error>> {
    let host = store.data().host.as_ref();
    let host = host.ok_or_else(|| wasmtime::Error::msg("no message is being handled"))?;
    let home = host.agent().tenant.clone();
    let acl = packed::read(Bytes::from(content), head.as_le_slice(&store), &home);
    let host = store.data_mut().host.as_mut();
    let host = host.ok_or_else(|| wasmtime::Error::msg("no message is being handled"))?;
    Ok(acl.and_then(|acl| host.send(acl)))
}

fn halves(id: MessageId) -> (u64, u64) {
    let number = u128::from_be_bytes(*id.as_bytes());
    ((number >> 64) as u64, number as u64)
}

fn refusal(error: Error) -> Refusal {
    Refusal {
        code: error.code.as_str().to_owned(),
        message: error.detail,
    }
}
