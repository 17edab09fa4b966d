//! wasmtime as a behavior and as a tool. [`WasmRuntime`] validates a component, has it compiled in a
//! child process, keeps the code, and gives instances whose every way out is the engine's `Host`;
//! [`WasmTools`] calls components that are tools, in the same sandbox, an instance for each call.
//!
//! What bounds a guest, and where: its shape ([`validate`]), its compilation ([`compile`]), its
//! memory (`guest.rs`), its computing and time (`meter.rs`), its calls (`host/`, and the engine's
//! `Host` behind them), its view of the machine (`wasi.rs`). `docs/sandbox.md` tells the whole, with
//! what it does not protect from.

mod abi;
mod bindings;
mod cache;
pub mod compile;
mod engine;
mod fault;
mod guest;
mod host;
mod instance;
mod loader;
mod mappings;
mod message;
mod meter;
mod options;
mod packed;
mod program;
mod runtime;
mod tool;
pub mod validate;
mod wasi;

pub use cache::load_or_create_cache_key;
pub use mappings::instances_max;
pub use options::{Compiler, FUEL_YIELD, Options, ToolOptions};
pub use runtime::WasmRuntime;
pub use tool::WasmTools;
