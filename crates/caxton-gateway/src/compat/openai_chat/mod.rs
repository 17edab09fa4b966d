//! Chat Completions as `OpenAI`'s clients speak it: pure, both ways.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub(crate) use decode::{Completion, decode, effort, no_parameters};
pub(crate) use encode::{Stream, answer, argument_text, created};
