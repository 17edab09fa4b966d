//! Writes SC00070's string form: parameters in SC00061's order, each value in the plainest form
//! that every reader takes alike.

use super::is_user_name;
use super::lexer::is_word_byte;
use crate::message::{Acl, Identifier};
use crate::time::Timestamp;

/// The earliest time with a year of four digits that needs no sign: 0000-01-01T00:00:00Z. Before
/// 1970 lie 719,528 days.
const YEAR_ZERO: Timestamp = Timestamp::from_us(-719_528 * 86_400 * 1_000_000);

pub(super) fn write(acl: &Acl) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + acl.bytes());
    out.push(b'(');
    out.extend_from_slice(acl.performative.as_str().as_bytes());
    if let Some(sender) = &acl.sender {
        out.extend_from_slice(b" :sender ");
        identifier(&mut out, sender);
    }
    agents(&mut out, " :receiver (set", &acl.receivers);
    agents(&mut out, " :reply-to (set", &acl.reply_to);
    if !acl.content.is_empty() {
        out.extend_from_slice(b" :content ");
        string(&mut out, &acl.content);
    }
    let conversation = acl.conversation_id.as_ref().map(|id| id.as_str());
    for (name, value) in [
        ("language", acl.language.as_deref()),
        ("encoding", acl.encoding.as_deref()),
        ("ontology", acl.ontology.as_deref()),
        ("protocol", acl.protocol.as_deref()),
        ("conversation-id", conversation),
        ("reply-with", acl.reply_with.as_deref()),
        ("in-reply-to", acl.in_reply_to.as_deref()),
    ] {
        if let Some(value) = value {
            parameter(&mut out, name, value);
        }
    }
    if let Some(reply_by) = acl.reply_by {
        out.extend_from_slice(b" :reply-by ");
        out.extend_from_slice(reply_by.max(YEAR_ZERO).to_fipa().as_bytes());
    }
    for (name, value) in &acl.user_parameters {
        if is_user_name(name.as_bytes()) {
            parameter(&mut out, name, value);
        }
    }
    out.push(b')');
    out
}

fn parameter(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b" :");
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    text(out, value);
}

fn agents(out: &mut Vec<u8>, open: &str, agents: &[Identifier]) {
    if agents.is_empty() {
        return;
    }
    out.extend_from_slice(open.as_bytes());
    for agent in agents {
        out.push(b' ');
        identifier(out, agent);
    }
    out.push(b')');
}

fn identifier(out: &mut Vec<u8>, agent: &Identifier) {
    out.extend_from_slice(b"(agent-identifier :name ");
    out.extend_from_slice(agent.id.to_string().as_bytes());
    if let Some(contact) = agent.contact.as_deref() {
        if !contact.addresses.is_empty() {
            out.extend_from_slice(b" :addresses (sequence");
            for address in &contact.addresses {
                out.push(b' ');
                text(out, address);
            }
            out.push(b')');
        }
        agents(out, " :resolvers (sequence", &contact.resolvers);
    }
    out.push(b')');
}

/// A text as a word where it is one beyond doubt, else as a string.
fn text(out: &mut Vec<u8>, value: &str) {
    if is_plain_word(value) {
        out.extend_from_slice(value.as_bytes());
    } else {
        string(out, value.as_bytes());
    }
}

/// A narrower rule than SC00070's: a word that begins with a letter and is ASCII without quotes
/// can be taken by no reader for a number, a time, a string or a parameter.
fn is_plain_word(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value
            .bytes()
            .all(|byte| byte.is_ascii() && is_word_byte(byte) && byte != b'"')
}

/// Bytes in quotes, or length-prefixed where quotes would be ambiguous (a backslash at the end,
/// which would read as an escape of the closing quote) or the bytes are not clean text.
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.ends_with(b"\\") || !is_clean_text(bytes) {
        out.extend_from_slice(format!("#{}\"", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    for part in bytes.split_inclusive(|byte| *byte == b'"') {
        match part.strip_suffix(b"\"") {
            Some(head) => {
                out.extend_from_slice(head);
                out.extend_from_slice(b"\\\"");
            }
            None => out.extend_from_slice(part),
        }
    }
    out.push(b'"');
}

/// UTF-8 without control characters other than tab, line feed and carriage return.
fn is_clean_text(bytes: &[u8]) -> bool {
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    std::str::from_utf8(bytes).is_ok_and(|text| !text.contains(control))
}
