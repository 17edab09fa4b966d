//! Any bytes as a provider's stream, whole and in pieces: no panic, the same events, and an end only
//! once. `cargo +nightly fuzz run model_stream`; the recorded streams in `crates/caxton-llm/tests/streams`
//! are a corpus to begin with.
#![no_main]

#[allow(dead_code)]
#[path = "../../crates/caxton-llm/tests/support/mod.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    for (dialect, _) in support::DIALECTS {
        let whole = support::decode(dialect, [input]);
        assert_eq!(support::decode(dialect, input.chunks(7)), whole);
    }
});
