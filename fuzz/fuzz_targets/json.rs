//! Any bytes into the reader of the JSON form: no panic, and what was read is written so that it reads
//! back the same. `cargo +nightly fuzz run json`.
#![no_main]

#[allow(dead_code)]
#[path = "../../crates/caxton-core/tests/support/fixpoint.rs"]
mod fixpoint;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fixpoint::json_form(input);
});
