//! `random`: bytes from the engine's entropy.

use super::interface;
use crate::guest::Guest;
use crate::meter::{EFFECT_CALL_FUEL, RANDOM_BYTE_FUEL, charge};
use caxton_core::quota::RANDOM_BYTES_MAX;
use wasmtime::component::Linker;

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(interface!("random"))?;
    instance.func_wrap_async("bytes", |mut store, (length,): (u32,)| {
        Box::new(async move {
            let made = u64::from(length.min(RANDOM_BYTES_MAX));
            charge(&mut store, EFFECT_CALL_FUEL + made * RANDOM_BYTE_FUEL).await?;
            Ok((store.data_mut().host()?.random(length),))
        })
    })
}
