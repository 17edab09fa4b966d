//! Responses as `OpenAI`'s clients speak them: pure, both ways.

mod decode;
mod encode;
mod items;
#[cfg(test)]
mod tests;

pub(crate) use decode::{Creation, decode, response_id};
pub(crate) use encode::{Shape, Stream, answer, failed};
