//! Any bytes into the reader of packed messages: no panic, and what was read is written so that it reads
//! back the same. `cargo +nightly fuzz run packed`.
#![no_main]

#[allow(dead_code)]
#[path = "../../crates/caxton-wasm/src/packed.rs"]
mod packed;

use bytes::Bytes;
use caxton_core::TenantId;

libfuzzer_sys::fuzz_target!(|head: &[u8]| {
    let home = TenantId::default_tenant();
    let Ok(acl) = packed::read(Bytes::new(), head, &home) else {
        return;
    };
    let again = packed::read(Bytes::new(), &packed::write(&acl), &home);
    let again = again.map(|acl| format!("{acl:?}"));
    assert_eq!(again.ok(), Some(format!("{acl:?}")));
});
