//! `timers`: messages to oneself, later.

use super::{interface, refusal};
use crate::guest::Guest;
use crate::meter::{EFFECT_CALL_FUEL, charge, with_bytes};
use std::time::Duration;
use wasmtime::component::Linker;

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(interface!("timers"))?;
    instance.func_wrap_async(
        "set",
        |mut store, (name, after_ms, content): (String, u64, Vec<u8>)| {
            Box::new(async move {
                let bytes = name.len() + content.len();
                charge(&mut store, with_bytes(EFFECT_CALL_FUEL, bytes)).await?;
                let after = Duration::from_millis(after_ms);
                let host = store.data_mut().host()?;
                let set = host.timer_set(&name, after, content.into());
                Ok((set.map_err(refusal),))
            })
        },
    )?;
    instance.func_wrap_async("cancel", |mut store, (name,): (String,)| {
        Box::new(async move {
            charge(&mut store, with_bytes(EFFECT_CALL_FUEL, name.len())).await?;
            let cancelled = store.data_mut().host()?.timer_cancel(&name);
            Ok((cancelled.map_err(refusal),))
        })
    })
}
