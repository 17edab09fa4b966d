//! `metrics`: the agent's own counters and gauges.

use super::interface;
use crate::guest::Guest;
use crate::meter::{EFFECT_CALL_FUEL, charge, with_bytes};
use wasmtime::component::Linker;

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(interface!("metrics"))?;
    instance.func_wrap_async("count", |mut store, (name, by): (String, u64)| {
        Box::new(async move {
            charge(&mut store, with_bytes(EFFECT_CALL_FUEL, name.len())).await?;
            store.data_mut().host()?.count(&name, by);
            Ok(())
        })
    })?;
    instance.func_wrap_async("gauge", |mut store, (name, value): (String, f64)| {
        Box::new(async move {
            charge(&mut store, with_bytes(EFFECT_CALL_FUEL, name.len())).await?;
            store.data_mut().host()?.gauge(&name, value);
            Ok(())
        })
    })
}
