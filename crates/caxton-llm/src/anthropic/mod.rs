//! Anthropic Messages.

mod request;
mod stream;

pub use request::request;
pub use stream::Decoder;
