//! The trait an agent implements, and its way into the component's exports.
//!
//! It stands apart from the generated trait so that `init` has a default and a panic tells the log
//! where it happened before it becomes a trap that says only `unreachable`.

use crate::bindings::exports::caxton::agent::behavior::Guest;
use crate::bindings::packed::caxton::agent::packed;
use crate::bindings::packed::exports::caxton::agent::packed_behavior::Guest as PackedGuest;
use crate::{Message, packed as form};

/// What an agent does. There is no `self`: an instance's memory may vanish between two messages, so
/// what must last belongs into [`state`](crate::state).
pub trait Agent {
    /// Runs once for every new instance, before its first message.
    ///
    /// # Errors
    /// The text is logged, and the instance is not used.
    fn init() -> Result<(), String> {
        Ok(())
    }

    /// Handles one message.
    ///
    /// # Errors
    /// An error drops everything this call sent and wrote; the server tries the message again as
    /// the agent's `[delivery]` says, and then makes it a dead letter. A message that will never
    /// succeed deserves an answer (`refuse`, `failure`, `not-understood`) instead.
    fn handle(message: Message) -> Result<(), String>;
}

impl<A: Agent> Guest for A {
    fn init() -> Result<(), String> {
        log_panics();
        <A as Agent>::init()
    }

    fn handle(message: Message) -> Result<(), String> {
        <A as Agent>::handle(message)
    }
}

impl<A: Agent> PackedGuest for A {
    fn init() -> Result<(), ()> {
        log_panics();
        <A as Agent>::init().map_err(|reason| packed::fail(&reason))
    }

    fn handle(message: Vec<u8>, content_bytes: u32) -> Result<(), ()> {
        let Some(message) = form::read(message, content_bytes as usize) else {
            packed::fail("the server packed a message that this SDK cannot read");
            return Err(());
        };
        <A as Agent>::handle(message).map_err(|reason| packed::fail(&reason))
    }
}

#[cfg(target_family = "wasm")]
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        crate::log::write(crate::log::Level::Error, &panic.to_string());
    }));
}

/// Natively a test runner owns the hook.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn log_panics() {}
