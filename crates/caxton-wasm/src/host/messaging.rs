//! `messaging`: what is being handled, send, call.

use super::{interface, refusal, unless_stopping};
use crate::bindings::{Delivery, types};
use crate::guest::Guest;
use crate::message;
use crate::meter::{EFFECT_CALL_FUEL, LIGHT_CALL_FUEL, charge, charge_light, with_bytes};
use std::time::Duration;
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(interface!("messaging"))?;
    instance.func_wrap(
        "current",
        |mut store: StoreContextMut<'_, Guest>, (): ()| {
            charge_light(&mut store, LIGHT_CALL_FUEL)?;
            let host = store.data_mut().host()?;
            let trace = host.trace();
            let delivery = host.current().zip(trace).map(|(current, trace)| Delivery {
                message_id: current.message.to_string(),
                attempt: current.attempt,
                trace_id: trace.trace_id_hex(),
                span_id: trace.span_id_hex(),
            });
            Ok((delivery,))
        },
    )?;
    instance.func_wrap_async("send", |mut store, (message,): (types::MessageResult,)| {
        Box::new(async move {
            let fuel = with_bytes(EFFECT_CALL_FUEL, message::bytes(&message));
            charge(&mut store, fuel).await?;
            let host = store.data_mut().host()?;
            let sent = message::lift(message, &host.agent().tenant).and_then(|acl| host.send(acl));
            let sent = sent.map(|id| id.to_string()).map_err(refusal);
            Ok((sent,))
        })
    })?;
    instance.func_wrap_async(
        "call",
        |mut store, (message, timeout_ms): (types::MessageResult, u32)| {
            Box::new(async move {
                let fuel = with_bytes(EFFECT_CALL_FUEL, message::bytes(&message));
                charge(&mut store, fuel).await?;
                let timeout = Duration::from_millis(u64::from(timeout_ms));
                let host = store.data_mut().host()?;
                let answer = match message::lift(message, &host.agent().tenant) {
                    Ok(acl) => unless_stopping(host.call(acl, timeout).await)?,
                    Err(error) => Err(error),
                };
                let answer = answer.map(|answer| message::to_owned(&answer.acl));
                if let Ok(answer) = &answer {
                    charge(&mut store, with_bytes(0, message::bytes(answer))).await?;
                }
                Ok((answer.map_err(refusal),))
            })
        },
    )
}
