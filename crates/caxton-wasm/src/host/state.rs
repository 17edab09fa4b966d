//! `state`: the agent's key-value state.

use super::{interface, refusal};
use crate::guest::Guest;
use crate::meter::{EFFECT_CALL_FUEL, charge, with_bytes};
use wasmtime::component::Linker;

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(interface!("state"))?;
    instance.func_wrap_async("get", |mut store, (key,): (String,)| {
        Box::new(async move {
            charge(&mut store, with_bytes(EFFECT_CALL_FUEL, key.len())).await?;
            let value = store.data_mut().host()?.state_get(&key).await;
            if let Ok(Some(value)) = &value {
                charge(&mut store, with_bytes(0, value.len())).await?;
            }
            let value = value.map(|value| value.map(|value| value.to_vec()));
            Ok((value.map_err(refusal),))
        })
    })?;
    instance.func_wrap_async("set", |mut store, (key, value): (String, Vec<u8>)| {
        Box::new(async move {
            let bytes = key.len() + value.len();
            charge(&mut store, with_bytes(EFFECT_CALL_FUEL, bytes)).await?;
            let written = store.data_mut().host()?.state_set(&key, value.into());
            Ok((written.map_err(refusal),))
        })
    })?;
    instance.func_wrap_async("delete", |mut store, (key,): (String,)| {
        Box::new(async move {
            charge(&mut store, with_bytes(EFFECT_CALL_FUEL, key.len())).await?;
            let removed = store.data_mut().host()?.state_delete(&key);
            Ok((removed.map_err(refusal),))
        })
    })?;
    instance.func_wrap_async(
        "keys",
        |mut store, (prefix, after, limit): (String, String, u32)| {
            Box::new(async move {
                let bytes = prefix.len() + after.len();
                charge(&mut store, with_bytes(EFFECT_CALL_FUEL, bytes)).await?;
                let host = store.data_mut().host()?;
                let keys = host.state_keys(&prefix, &after, limit).await;
                if let Ok(keys) = &keys {
                    let bytes = keys.iter().map(String::len).sum();
                    charge(&mut store, with_bytes(0, bytes)).await?;
                }
                Ok((keys.map_err(refusal),))
            })
        },
    )
}
