//! Any bytes into the validator of components, in both profiles: no panic, and no more than the strict
//! profile admits is refused by the default one. `cargo +nightly fuzz run validate`; the shipped
//! components are a good beginning: `mkdir -p fuzz/corpus/validate && cp examples/*/*.wasm
//! fuzz/corpus/validate/`.
#![no_main]

use caxton_core::manifest::SandboxProfile;
use caxton_wasm::validate::{Bounds, check};

/// Smaller than the server's, so that both sides of each bound are met.
const BOUNDS: Bounds = Bounds {
    component_bytes_max: 256 << 10,
    functions_max: 500,
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let strict = check(input, SandboxProfile::Strict, &BOUNDS);
    let default = check(input, SandboxProfile::Default, &BOUNDS);
    assert!(
        strict.is_err() || default.is_ok(),
        "only the strict profile admits it: {default:?}"
    );
});
