//! Models: the adapter of [`caxton_engine::port::Model`].
//!
//! One folder per provider, each a pure translation: a request in no provider's words becomes bytes,
//! and the provider's bytes become events. `remote` sends them over the injected
//! [`caxton_engine::port::Http`] port and is the same for all. Two models need no network: `demo` and
//! `scripted`. What is known of models is data, in `models.toml`.
//!
//! Which provider is asked, how often, for how long and at whose cost is not decided here.

mod anthropic;
mod demo;
mod facts;
mod fault;
mod json;
mod openai_chat;
mod openai_responses;
mod providers;
mod quirks;
mod remote;
mod retry;
mod scripted;
pub mod sse;
mod template;
mod traits;
pub mod wire;

pub use facts::{Table, TableError};
pub use providers::{Options, Providers};

/// The translations themselves, for the tests and fuzzers that feed them bytes.
pub mod translate {
    pub use crate::traits::{Effort, Traits};
    use crate::wire::{Decode, Outgoing};
    use crate::{anthropic, openai_chat, openai_responses};
    use caxton_core::model::{Dialect, ModelRequest};

    /// What a request asks for that a protocol does not have.
    pub fn refused(dialect: Dialect, request: &ModelRequest) -> Option<&'static str> {
        match dialect {
            Dialect::Anthropic => anthropic::refused(request),
            Dialect::OpenaiChat | Dialect::OpenaiResponses => None,
        }
    }

    /// A request as a dialect has it.
    pub fn request(
        dialect: Dialect,
        request: &ModelRequest,
        model: &str,
        traits: &Traits,
    ) -> Outgoing {
        match dialect {
            Dialect::Anthropic => anthropic::request(request, model, traits),
            Dialect::OpenaiChat => openai_chat::request(request, model, traits),
            Dialect::OpenaiResponses => openai_responses::request(request, model, traits),
        }
    }

    /// A reader of one answer.
    pub fn decoder(dialect: Dialect) -> Box<dyn Decode> {
        match dialect {
            Dialect::Anthropic => Box::new(anthropic::Decoder::default()),
            Dialect::OpenaiChat => Box::new(openai_chat::Decoder::default()),
            Dialect::OpenaiResponses => Box::new(openai_responses::Decoder::default()),
        }
    }
}
