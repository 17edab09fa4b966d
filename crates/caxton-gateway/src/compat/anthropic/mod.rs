//! Messages as `Anthropic`'s clients speak them: pure, both ways.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub(crate) use decode::decode;
pub(crate) use encode::{Stream, answer};
