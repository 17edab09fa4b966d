//! Anthropic Messages.

mod request;
mod stream;

pub use request::{refused, request};
pub use stream::Decoder;
