//! The agent's ABI in Rust, generated from `wit/agent.wit`. Records the guest hands in are owned,
//! records handed to the guest borrow, so that a message is lowered without copying it first. The
//! host's functions are not the generated traits: they need the store, to charge fuel; see
//! [`crate::host`].

// What `bindgen!` writes is not ours to lint. Its two `unsafe` blocks make a `TypedFunc` of a `Func`
// whose type its own `load` has checked.
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
    path: "../../wit",
    world: "agent",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
    exports: { default: async },
});

pub(crate) use caxton::agent::{logging::Level, messaging::Delivery, tool_types, tools, types};
pub(crate) use exports::caxton::agent::behavior;

/// The world of tools.
pub(crate) mod tool {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "tool",
        ownership: Borrowing { duplicate_if_necessary: true },
        imports: { default: trappable },
        exports: { default: async },
    });

    pub(crate) use caxton::agent::tool_types;
    pub(crate) use exports::caxton::agent::tool_functions;
}
