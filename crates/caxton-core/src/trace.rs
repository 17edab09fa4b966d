//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>) as values: every message carries one.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Which trace a message belongs to, and the span that sent it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TraceContext {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// The `sampled` flag.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent` header; `None` where it is not valid, as the recommendation says that
    /// an invalid one is ignored and a new trace begun.
    pub fn parse(header: &str) -> Option<Self> {
        let header = header.trim().as_bytes();
        let (ids, rest) = header.split_first_chunk::<55>()?;
        let [v0, v1, b'-', ids @ .., b'-', f0, f1] = ids else {
            return None;
        };
        let (trace_id, ids) = ids.split_first_chunk::<32>()?;
        let (b'-', span_id) = ids.split_first()? else {
            return None;
        };
        let version = hex::<1>(&[*v0, *v1])?;
        let (trace_id, span_id) = (hex::<16>(trace_id)?, hex::<8>(span_id)?);
        let flags = hex::<1>(&[*f0, *f1])?;
        // Later versions may add parts.
        let is_more = rest.first().is_some_and(|it| *it == b'-') && version != [0];
        if version == [0xff] || !(rest.is_empty() || is_more) {
            return None;
        }
        if trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        Some(Self {
            trace_id,
            span_id,
            sampled: flags.first().is_some_and(|f| f & 1 == 1),
        })
    }

    /// The same trace, another span.
    #[must_use]
    pub fn child(self, span_id: [u8; 8]) -> Self {
        Self { span_id, ..self }
    }

    pub fn trace_id_hex(&self) -> String {
        text(&digits::<16, 32>(&self.trace_id)).to_owned()
    }

    pub fn span_id_hex(&self) -> String {
        text(&digits::<8, 16>(&self.span_id)).to_owned()
    }

    /// The `traceparent` header's value.
    pub fn to_traceparent(&self) -> String {
        text(&self.to_ascii()).to_owned()
    }

    /// The same as bytes.
    pub fn to_ascii(&self) -> [u8; 55] {
        let mut line = *b"00-00000000000000000000000000000000-0000000000000000-00";
        line[3..35].copy_from_slice(&digits::<16, 32>(&self.trace_id));
        line[36..52].copy_from_slice(&digits::<8, 16>(&self.span_id));
        line[54] = b'0' + u8::from(self.sampled);
        line
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_traceparent())
    }
}

/// Hexadecimal digits. Every request writes and reads these a few times; the general formatter takes six
/// times as long.
fn digits<const N: usize, const DIGITS: usize>(bytes: &[u8; N]) -> [u8; DIGITS] {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let mut out = [b'0'; DIGITS];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            (*high, *low) = (digit(byte >> 4), digit(byte & 15));
        }
    }
    out
}

/// What is all ASCII as text.
fn text(ascii: &[u8]) -> &str {
    std::str::from_utf8(ascii).unwrap_or_default()
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let (mut bytes, mut all) = ([0_u8; N], 0);
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (nibble(*high), nibble(*low));
        all |= high | low;
        *byte = high << 4 | low & 15;
    }
    (all < 16).then_some(bytes)
}

/// What a hexadecimal digit in lower case stands for; more than 15 for what is none.
const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => 0xff,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn traceparent_as_the_recommendation_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceContext::parse(good).unwrap().to_traceparent(), good);
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            assert!(TraceContext::parse(bad).is_none(), "{bad}");
        }
        let future = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more";
        assert!(TraceContext::parse(future).is_some());
    }
}
