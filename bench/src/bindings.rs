//! The agent's ABI for the sandbox without limits, by the same generator and options as the server's.

// What `bindgen!` writes is not ours to lint. Its `unsafe` blocks make a `TypedFunc` of a `Func` whose
// type its own `load` has checked.
#![allow(
    unsafe_code,
    dead_code,
    unused_imports,
    missing_debug_implementations,
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "agent",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
    exports: { default: async },
});

pub(crate) use caxton::agent::types;
