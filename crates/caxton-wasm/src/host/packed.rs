//! `packed`: send, with the message as bytes.

use super::{interface, refusal};
use crate::guest::Guest;
use crate::meter::{EFFECT_CALL_FUEL, charge, with_bytes};
use crate::packed::{self, HEAD_BYTES_MAX};
use bytes::Bytes;
use caxton_core::MessageId;
use caxton_core::error::{Code, Error};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList};

/// Longest reason of a failure that is kept, in bytes.
const REASON_BYTES_MAX: usize = 4096;

pub(super) fn add(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(interface!("packed"))?;
    instance.func_wrap_async(
        "send",
        |mut store, (content, head): (Vec<u8>, WasmList<u8>)| {
            Box::new(async move {
                let bytes = content.len().saturating_add(head.len());
                charge(&mut store, with_bytes(EFFECT_CALL_FUEL, bytes)).await?;
                let sent = send(&mut store, content, &head)?;
                Ok((sent.map(halves).map_err(refusal),))
            })
        },
    )?;
    instance.func_wrap_async("fail", |mut store, (reason,): (String,)| {
        Box::new(async move {
            charge(&mut store, with_bytes(EFFECT_CALL_FUEL, reason.len())).await?;
            let end = reason.floor_char_boundary(REASON_BYTES_MAX);
            let kept = reason.get(..end).unwrap_or_default();
            store.data_mut().reason = Some(kept.to_owned());
            Ok(())
        })
    })
}

/// The outer error ends the guest, the inner is its answer.
fn send(
    store: &mut StoreContextMut<'_, Guest>,
    content: Vec<u8>,
    head: &WasmList<u8>,
) -> wasmtime::Result<Result<MessageId, Error>> {
    let home = store.data_mut().host()?.agent().tenant.clone();
    if head.len() > HEAD_BYTES_MAX {
        return Ok(Err(Error::new(
            Code::MessageTooLarge,
            format!(
                "the message's head has {} bytes, at most {HEAD_BYTES_MAX} are allowed",
                head.len()
            ),
        )));
    }
    let acl = packed::read(Bytes::from(content), head.as_le_slice(&*store), &home);
    let host = store.data_mut().host()?;
    Ok(acl.and_then(|acl| host.send(acl)))
}

type Halves = (u64, u64);

fn halves(id: MessageId) -> Halves {
    let number = u128::from_be_bytes(*id.as_bytes());
    ((number >> 64) as u64, number as u64)
}
