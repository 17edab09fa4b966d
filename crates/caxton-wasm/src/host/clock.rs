//! `clock`: the time, as the engine's clock tells it.

use super::interface;
use crate::guest::Guest;
use crate::meter::{LIGHT_CALL_FUEL, charge_light};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(interface!("clock"))?;
    instance.func_wrap("now-us", |mut store: StoreContextMut<'_, Guest>, (): ()| {
        charge_light(&mut store, LIGHT_CALL_FUEL)?;
        Ok((store.data_mut().host()?.now().as_us(),))
    })
}
