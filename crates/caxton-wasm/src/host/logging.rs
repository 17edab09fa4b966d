//! `logging`: the agent's log.

use super::interface;
use crate::bindings::Level;
use crate::guest::Guest;
use crate::meter::{EFFECT_CALL_FUEL, charge, with_bytes};
use crate::wasi;
use caxton_engine::host::LogLevel;
use wasmtime::component::Linker;

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(interface!("logging"))?;
    instance.func_wrap_async("log", |mut store, (level, text): (Level, String)| {
        Box::new(async move {
            charge(&mut store, with_bytes(EFFECT_CALL_FUEL, text.len())).await?;
            let guest = store.data_mut();
            // What it printed before stands before.
            wasi::flush_lines(guest);
            guest.host()?.log(log_level(level), &text);
            Ok(())
        })
    })
}

pub(crate) fn log_level(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}
