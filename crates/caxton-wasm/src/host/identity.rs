//! `identity`: who the agent is.

use super::interface;
use crate::bindings::types;
use crate::guest::Guest;
use crate::meter::{LIGHT_CALL_FUEL, charge_light};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(interface!("identity"))?;
    instance.func_wrap("me", |mut store: StoreContextMut<'_, Guest>, (): ()| {
        charge_light(&mut store, LIGHT_CALL_FUEL)?;
        let me = types::AgentIdResult {
            name: store.data_mut().host()?.agent().to_string(),
            addresses: Vec::new(),
            resolvers: Vec::new(),
        };
        Ok((me,))
    })?;
    instance.func_wrap(
        "version",
        |mut store: StoreContextMut<'_, Guest>, (): ()| {
            charge_light(&mut store, LIGHT_CALL_FUEL)?;
            let version = store.data_mut().host()?.manifest().version.to_string();
            Ok((version,))
        },
    )
}
