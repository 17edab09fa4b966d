//! FIPA's string form of a message, `fipa.acl.rep.string.std` (SC00070): reader and writer.
//!
//! ```text
//! (request :sender (agent-identifier :name a@p) :receiver (set (agent-identifier :name b@p))
//!   :content "add 1" :reply-with r1 :reply-by 20261122T050922049Z :protocol fipa-request)
//! ```
//!
//! Both sides work on bytes, since a length-prefixed string may hold any. What is read is bounded
//! in size and depth, and each refusal names the byte and what was expected there. The reader
//! checks form, not sense: whether a message may be sent is [`Acl::validate`]'s business.

mod lexer;
mod reader;
mod writer;

use super::{Acl, CONTENT_BYTES_MAX};
use crate::error::Error;
use crate::tenant::TenantId;

/// Longest text that is read, in bytes: the largest content with every byte a quote to escape,
/// and 16 MiB for all else.
pub const TEXT_BYTES_MAX: usize = 2 * CONTENT_BYTES_MAX + (16 << 20);
/// Deepest nesting of parentheses: agent identifiers as resolvers of each other, and expressions.
pub const NESTING_MAX: usize = 32;

/// The parameters of SC00061, in the order in which they are written.
const PARAMETERS: [&str; 12] = [
    "sender",
    "receiver",
    "reply-to",
    "content",
    "language",
    "encoding",
    "ontology",
    "protocol",
    "conversation-id",
    "reply-with",
    "in-reply-to",
    "reply-by",
];

/// Reads one message; around it only white space may stand.
///
/// A bare agent name means an agent of `home`. Errors: `CX-1012` with the byte offset where the
/// form is broken, `CX-1011` for an unknown act, `CX-1014` for an unknown parameter (naming the
/// nearest), `CX-1001` and `CX-1002` for names that are not ours, `CX-1003` and `CX-1004` for ids
/// and times, `CX-1020` for a text longer than [`TEXT_BYTES_MAX`].
pub fn read(text: &[u8], home: &TenantId) -> Result<Acl, Error> {
    reader::read(text, home)
}

/// Writes a message so that [`read`] gives it back: every value in the plainest of the three
/// forms (word, string, length-prefixed) that is not ambiguous.
///
/// `reply-by` is written to the millisecond, which is all that the form can say. A user parameter
/// whose name [`Acl::validate`] refuses is left out, so that no name can forge a parameter.
pub fn write(acl: &Acl) -> Vec<u8> {
    writer::write(acl)
}

/// Whether this is the name of a user parameter that can be written and read: `X-` in any case,
/// then letters, digits, `-`, `_` and `.`.
fn is_user_name(name: &[u8]) -> bool {
    let (prefix, rest) = name.split_at(name.len().min(2));
    prefix.eq_ignore_ascii_case(b"x-") && !rest.is_empty() && rest.iter().all(|b| is_name_byte(*b))
}

/// Whether a parameter's name may contain this byte.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}
