//! A live instance: one store, one message at a time.

use crate::bindings::behavior::Guest as Exports;
use crate::fault;
use crate::guest::Guest;
use crate::message::{Contacts, Lowering, Names};
use crate::meter::{Busy, Late};
use crate::wasi;
use caxton_core::Message;
use caxton_core::quota::Limits;
use caxton_engine::host::Host;
use caxton_engine::port::behavior::FaultKind;
use caxton_engine::port::{Answer, Behavior, Fault};
use std::pin::pin;
use std::sync::Arc;
use wasmtime::Store;

/// How a call ended: given up on, trapped, or answered.
type Ended = Result<wasmtime::Result<Result<(), String>>, Late>;

/// An instance of an agent's component.
pub(crate) struct WasmBehavior {
    store: Store<Guest>,
    exports: Exports,
    limits: Arc<Limits>,
    /// A fault, or a call dropped midway, left the guest in a state nobody knows.
    lost: bool,
}

impl WasmBehavior {
    pub(crate) fn new(store: Store<Guest>, exports: Exports, limits: Arc<Limits>) -> Self {
        Self {
            store,
            exports,
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
        guest.meter.begin(fuel);
        self.lost = true;
        Ok(())
    }

    /// Takes the host out and says what happened.
    fn end(&mut self, ended: Ended) -> (Host, Result<(), Fault>) {
        let guest = self.store.data_mut();
        wasi::flush_all(guest);
        let result = match ended {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(text))) => Err(Fault::new(FaultKind::Handler, text)),
            Ok(Err(error)) => Err(fault::of_error(&error, guest)),
            Err(late) => Err(fault::of_late(late, guest)),
        };
        let fatal = result.as_ref().is_err_and(Fault::is_fatal);
        let Some(host) = guest.host.take() else {
            unreachable!("begin put the host in, and host calls only borrow it");
        };
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
                let call = pin!(self.exports.call_init(&mut self.store));
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
            let names = Names::of(&message.acl);
            let contacts = Contacts::of(&message.acl, &names);
            let lowering = Lowering::of(&message.acl, &names, &contacts);
            let ended = {
                let call = pin!(self.exports.call_handle(&mut self.store, lowering.record()));
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
