//! What a tool may ask of the server, besides WASI as agents have it: a log, the time, random bytes.
//! Each is charged as it is for agents.

use super::said::Said;
use crate::bindings::Level;
use crate::guest::Guest;
use crate::host::{interface, log_level};
use crate::meter::{
    EFFECT_CALL_FUEL, LIGHT_CALL_FUEL, RANDOM_BYTE_FUEL, charge, charge_light, with_bytes,
};
use crate::wasi;
use caxton_core::quota::RANDOM_BYTES_MAX;
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

/// The interface a tool exports.
pub(crate) const TOOL_FUNCTIONS: &str = interface!("tool-functions");

/// The interfaces of `caxton:agent` a tool may import.
pub(crate) const TOOL_INTERFACES: [&str; 4] = [
    interface!("tool-types"),
    interface!("logging"),
    interface!("clock"),
    interface!("random"),
];

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance(interface!("tool-types"))?;
    let mut logging = linker.instance(interface!("logging"))?;
    logging.func_wrap_async("log", |mut store, (level, text): (Level, String)| {
        Box::new(async move {
            charge(&mut store, with_bytes(EFFECT_CALL_FUEL, text.len())).await?;
            let guest = store.data_mut();
            // What it printed before stands before.
            wasi::flush_lines(guest);
            let said = guest.said.get_or_insert_with(Said::default);
            said.add(log_level(level), &text);
            Ok(())
        })
    })?;
    let mut clock = linker.instance(interface!("clock"))?;
    clock.func_wrap("now-us", |mut store: StoreContextMut<'_, Guest>, (): ()| {
        charge_light(&mut store, LIGHT_CALL_FUEL)?;
        Ok((store.data().wasi_ports.clock.now().as_us(),))
    })?;
    let mut random = linker.instance(interface!("random"))?;
    random.func_wrap_async("bytes", |mut store, (length,): (u32,)| {
        Box::new(async move {
            let made = length.min(RANDOM_BYTES_MAX);
            let fuel = EFFECT_CALL_FUEL + u64::from(made) * RANDOM_BYTE_FUEL;
            charge(&mut store, fuel).await?;
            let mut bytes = vec![0; made as usize];
            store.data().wasi_ports.entropy.fill(&mut bytes);
            Ok((bytes,))
        })
    })
}
