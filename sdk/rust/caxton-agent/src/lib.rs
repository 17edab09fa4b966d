//! The SDK for Caxton agents and tools written in Rust.
//!
//! An agent is a name that takes messages. This crate turns a type with one function into the
//! WebAssembly component the server runs, and gives it the server's interfaces under short names:
//!
//! ```no_run
//! use caxton_agent::{Agent, Message, Performative};
//!
//! struct Greeter;
//!
//! impl Agent for Greeter {
//!     fn handle(message: Message) -> Result<(), String> {
//!         if message.performative == Performative::Request {
//!             message.reply(Performative::Inform).content("good day").send()?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! caxton_agent::export!(Greeter);
//! ```
//!
//! A component that offers functions instead of taking messages is a tool: see [`tool`]. What agents
//! call, whatever it is made of, is in [`tools`].
//!
//! The types are those of `wit/agent.wit` itself with methods added. Messages cross the boundary packed
//! (see `wit/agent.wit`'s `packed`), which is several times cheaper than field by field. Outside a component (in an agent's own native tests) everything that only works
//! on messages runs; a call of the server aborts.

#![warn(missing_debug_implementations)]

mod acl;
mod agent;
#[cfg(any(test, all(target_family = "wasm", feature = "allocator")))]
mod allocator;
pub mod clock;
pub mod identity;
pub mod log;
#[cfg(any(test, target_family = "wasm"))]
mod memory;
mod message;
pub mod metrics;
mod packed;
pub mod random;
pub mod record;
pub mod state;
pub mod timers;
pub mod tool;
pub mod tools;

/// The generated bindings: the ABI as it is, for what the short names do not cover.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unused,
    clippy::all,
    clippy::restriction
)]
pub mod bindings {
    wit_bindgen::generate!({
        world: "agent",
        path: "../../../wit",
        pub_export_macro: true,
        export_macro_name: "export_agent",
        default_bindings_module: "caxton_agent::bindings",
        generate_unused_types: true,
    });

    /// The world that takes its messages packed; everything else is the same.
    pub mod packed {
        wit_bindgen::generate!({
            world: "packed-agent",
            path: "../../../wit",
            pub_export_macro: true,
            export_macro_name: "export_packed_agent",
            default_bindings_module: "caxton_agent::bindings::packed",
            with: {
                "caxton:agent/types@1.0.0": crate::bindings::caxton::agent::types,
                "caxton:agent/messaging@1.0.0": crate::bindings::caxton::agent::messaging,
                "caxton:agent/logging@1.0.0": crate::bindings::caxton::agent::logging,
                "caxton:agent/clock@1.0.0": crate::bindings::caxton::agent::clock,
                "caxton:agent/random@1.0.0": crate::bindings::caxton::agent::random,
                "caxton:agent/state@1.0.0": crate::bindings::caxton::agent::state,
                "caxton:agent/timers@1.0.0": crate::bindings::caxton::agent::timers,
                "caxton:agent/identity@1.0.0": crate::bindings::caxton::agent::identity,
                "caxton:agent/metrics@1.0.0": crate::bindings::caxton::agent::metrics,
                "caxton:agent/tool-types@1.0.0": crate::bindings::caxton::agent::tool_types,
                "caxton:agent/tools@1.0.0": crate::bindings::caxton::agent::tools,
            },
        });
    }

    /// The world of tools.
    pub mod tool {
        wit_bindgen::generate!({
            world: "tool",
            path: "../../../wit",
            pub_export_macro: true,
            export_macro_name: "export_tool_functions",
            default_bindings_module: "caxton_agent::bindings::tool",
            with: {
                "caxton:agent/tool-types@1.0.0": crate::bindings::caxton::agent::tool_types,
                "caxton:agent/logging@1.0.0": crate::bindings::caxton::agent::logging,
                "caxton:agent/clock@1.0.0": crate::bindings::caxton::agent::clock,
                "caxton:agent/random@1.0.0": crate::bindings::caxton::agent::random,
            },
        });
    }
}

pub use agent::Agent;
pub use bindings::caxton::agent::messaging::Delivery;
pub use bindings::caxton::agent::types::{AgentId, Error, Message, Performative, UserParameter};
pub use message::{MessageId, call, current, send};

/// Makes a type (its plain name) that implements [`Agent`] the behavior of the component; once in a crate of type
/// `cdylib`.
#[macro_export]
macro_rules! export {
    ($agent:ident) => {
        // A native linker takes none of the component's export names; there the type is only
        // checked, so that an agent's own tests run natively.
        #[cfg(target_family = "wasm")]
        $crate::bindings::packed::export_packed_agent!($agent with_types_in $crate::bindings::packed);
        #[cfg(not(target_family = "wasm"))]
        const _: fn($crate::Message) -> ::std::result::Result<(), ::std::string::String> =
            <$agent as $crate::Agent>::handle;
    };
}

/// As [`export!`], by the interface `behavior`, whose messages cross the boundary field by field: for
/// a component that something else than a Caxton server calls too. It is slower.
#[macro_export]
macro_rules! export_typed {
    ($agent:ident) => {
        #[cfg(target_family = "wasm")]
        $crate::bindings::export_agent!($agent with_types_in $crate::bindings);
        #[cfg(not(target_family = "wasm"))]
        const _: fn($crate::Message) -> ::std::result::Result<(), ::std::string::String> =
            <$agent as $crate::Agent>::handle;
    };
}
