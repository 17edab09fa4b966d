//! `OpenAI` Chat Completions, and everything that calls itself compatible with it.

mod request;
mod stream;

pub use request::{arguments_text, form_fields, request, url};
pub use stream::Decoder;
