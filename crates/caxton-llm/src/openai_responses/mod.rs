//! `OpenAI` Responses.

mod request;
mod stream;

pub use request::request;
pub use stream::Decoder;
