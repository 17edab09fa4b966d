//! How messages and conversations stand in a row: a compact binary form whose first byte is its
//! version, so that a later form can be read beside this one.
//!
//! Written by hand and not derived, because a form on disk must not change when somebody adds a
//! field to a struct. Reading refuses whatever writing cannot have written; it never panics and
//! never allocates more than the bytes it was given could fill.

mod conversation;
mod message;
mod reader;
mod writer;

pub(crate) use conversation::{read_conversation, write_conversation};
pub(crate) use message::{Body, read_body, write_body};

/// Why bytes are not a row's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Deepest nesting of resolvers inside agent identifiers: core refuses more parts than this has.
const RESOLVER_DEPTH_MAX: usize = 64;

#[cfg(test)]
mod tests;
