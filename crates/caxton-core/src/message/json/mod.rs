//! The JSON form of a message: what the doors take as a request body and answer with.
//!
//! ```text
//! {"performative": "request", "receiver": [{"name": "counter"}], "content": "add 1",
//!  "replyWith": "r1", "replyBy": "2026-11-22T05:09:22Z", "userParameters": {"X-trace": "abc"}}
//! ```
//!
//! The reader is strict, because a field that is passed over in silence is a mistake found late:
//! unknown fields, duplicate keys, wrong types and lone surrogates are refused, and where the
//! syntax is sound every fault is named, not only the first. Whether a message may be sent is
//! [`Acl::validate`]'s business.

mod reader;
mod strict;
mod writer;

use super::{Acl, CONTENT_BYTES_MAX, Message};
use crate::error::Error;
use crate::tenant::TenantId;
use serde_json::Value;

/// Longest text that is read, in bytes: the largest content as base64 or with every byte a quote
/// to escape, and 16 MiB for all else.
pub const TEXT_BYTES_MAX: usize = 2 * CONTENT_BYTES_MAX + (16 << 20);
/// Deepest nesting of objects and arrays. A message with resolvers in resolvers, as deep as
/// [`Acl::validate`] lets them be, has less than half of it.
pub const NESTING_MAX: usize = 32;

/// Reads a message's parameters from its JSON form. A bare agent name means an agent of `home`;
/// `null` means absent, as in proto3's mapping.
///
/// Errors: `CX-1013` for text that is not JSON, is nested deeper than [`NESTING_MAX`], has a key
/// twice or a lone surrogate; `CX-1020` for one longer than [`TEXT_BYTES_MAX`]; `CX-1014` for an
/// unknown field, naming the nearest; `CX-1010` for a missing field or a wrong type; `CX-1001` to
/// `CX-1004` and `CX-1011` for values. With several faults the code is the first one's and
/// `fields` has all.
pub fn read(text: &[u8], home: &TenantId) -> Result<Acl, Error> {
    reader::read(text, home)
}

/// The JSON form of the parameters. Content is `content` where it is UTF-8, else `contentBase64`;
/// what is absent or empty is left out.
pub fn write(acl: &Acl) -> Value {
    Value::Object(writer::acl(acl))
}

/// The JSON form of a stamped message: [`write()`]'s fields and `id`, `tenant`, `traceId`, `spanId`,
/// `parentId` (where another message caused it), `hop` and `createTime`.
pub fn write_message(message: &Message) -> Value {
    Value::Object(writer::message(message))
}
