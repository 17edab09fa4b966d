//! Identifiers that are not names: messages, conversations, artefact digests, owner epochs.

use crate::error::{Code, Error};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;
use uuid::Uuid;

/// Longest conversation id, `reply-with` and `in-reply-to`, in bytes.
pub const TOKEN_BYTES_MAX: usize = 255;

/// A message's id, unique over all servers. A UUIDv7 (RFC 9562), so that ids sort by age and new
/// rows are appended to the journal's tree instead of scattered over it.
///
/// After the milliseconds stand twelve bits of the fraction of one (RFC 9562, 6.2, method 3), then a
/// counter of four bits (method 1), then 58 random bits. A message sorts after the one that caused it
/// and after those its mailbox sent before, whatever the clock does: see [`MessageId::next`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(Uuid);

impl MessageId {
    /// The id of a message made at this time, in order after `after`; where the clock has not moved
    /// on since (or was set back) it counts on from there. The caller's `Entropy` gave `random`.
    pub fn next(at: Timestamp, after: Self, random: u64) -> Self {
        let order = at.as_ticks().max(after.order().saturating_add(1));
        Self::from_order(order, random)
    }

    /// Milliseconds (48 bits), their fraction (12) and the counter (4): all of the id that sorts.
    fn order(self) -> u64 {
        let bits = self.0.as_u128();
        let (ms, fraction, count) = (bits >> 80, (bits >> 64) & 0xfff, (bits >> 58) & 0xf);
        ((ms << 16) | (fraction << 4) | count) as u64
    }

    fn from_order(order: u64, random: u64) -> Self {
        const VERSION: u128 = 7 << 76;
        const VARIANT: u128 = 0b10 << 62;
        let order = u128::from(order);
        let (ms, fraction, count) = (order >> 16, (order >> 4) & 0xfff, order & 0xf);
        let random = u128::from(random >> 6);
        let bits = (ms << 80) | VERSION | (fraction << 64) | VARIANT | (count << 58) | random;
        Self(Uuid::from_u128(bits))
    }

    /// Before all others: what the first id comes after.
    pub const MIN: Self = Self(Uuid::nil());

    /// Builds the id from a time and 10 random bytes, which the caller's `Clock` and `Entropy` gave.
    pub fn from_parts(at: Timestamp, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(at.as_ms(), &random).into_uuid())
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Another id of the same time: of what the `n`-th receiver makes of a message. 0 is the id itself.
    #[must_use]
    pub const fn nth(self, n: u16) -> Self {
        Self(Uuid::from_u128(self.0.as_u128() ^ n as u128))
    }

    /// When it was made: whole milliseconds since 1970.
    pub fn as_ms(&self) -> u64 {
        (self.0.as_u128() >> 80) as u64
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    pub fn parse(text: &str) -> Result<Self, Error> {
        Uuid::try_parse(text).map(Self).map_err(|_| {
            Error::new(
                Code::IdMalformed,
                format!(
                    "`{}` is not a message id (a UUID)",
                    crate::error::shown(text)
                ),
            )
        })
    }

    /// Its text, written where the caller wants it: every request makes one.
    pub fn encode(self, text: &mut [u8; 36]) -> &str {
        self.0.hyphenated().encode_lower(text)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A conversation's id: 1 to 255 bytes of UTF-8 without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConversationId(SmolStr);

impl ConversationId {
    pub fn parse(text: &str) -> Result<Self, Error> {
        if is_token(text) {
            return Ok(Self(SmolStr::new(text)));
        }
        Err(Error::new(
            Code::IdMalformed,
            format!(
                "`{}` is not a conversation id: 1 to {TOKEN_BYTES_MAX} bytes without control characters",
                crate::error::shown(text)
            ),
        ))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}

/// Whether a text may stand as conversation id, `reply-with`, `in-reply-to`, protocol or ontology.
pub fn is_token(text: &str) -> bool {
    let plain = |byte: &u8| (b' '..=b'~').contains(byte);
    (1..=TOKEN_BYTES_MAX).contains(&text.len())
        && (text.as_bytes().iter().all(plain) || !text.chars().any(char::is_control))
}

/// The SHA-256 of an artefact; shown as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// SHA-256 of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    pub fn parse_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0_u8; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The owner's epoch: grows each time a mailbox's data gets a new owner (a server that starts, later
/// a node that takes over). The store refuses a commit of an older one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn message_ids_sort_by_time() {
        let early = MessageId::from_parts(Timestamp::from_us(1_000_000), [255; 10]);
        let late = MessageId::from_parts(Timestamp::from_us(1_001_000), [0; 10]);
        assert!(early < late);
        assert_eq!(MessageId::parse(&early.to_string()).unwrap(), early);
        assert!(MessageId::parse("../x").is_err());
    }

    #[test]
    fn ids_sort_in_the_order_they_were_made() {
        let at = Timestamp::from_us;
        // The clock moves by a microsecond, stands still, is set back, and moves again.
        let times = [
            1_000_000, 1_000_001, 1_000_001, 1_000_001, 999_000, 1_000_002,
        ];
        let mut last = MessageId::MIN;
        for (round, time) in times.into_iter().cycle().take(600).enumerate() {
            let random = if round % 2 == 0 { u64::MAX } else { 0 };
            let id = MessageId::next(at(time), last, random);
            assert!(id > last, "{id} after {last}");
            last = id;
        }
        // A microsecond has room for 65; the 600 took the order some nine ahead of the clock.
        let far = MessageId::next(at(1_000_010), last, 0);
        assert!(far > last && far.as_ms() == 1_000);
    }

    #[test]
    fn an_id_is_a_uuid_of_version_7_with_its_time() {
        let time = Timestamp::parse_rfc3339("2026-11-22T05:09:22.049500Z").unwrap();
        let id = MessageId::next(time, MessageId::MIN, u64::MAX);
        let uuid = Uuid::from_bytes(*id.as_bytes());
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id.as_ms(), time.as_ms());
        // Half a millisecond is half of 4096.
        assert_eq!(uuid.as_u128() >> 64 & 0xfff, 2048);
    }

    #[test]
    fn digests_round_trip() {
        let digest = Digest([0xa5; 32]);
        assert_eq!(Digest::parse_hex(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse_hex("zz"), None);
    }

    #[test]
    fn tokens_are_bounded() {
        assert!(is_token("c1") && !is_token("") && !is_token("a\n") && !is_token(&"x".repeat(256)));
    }
}
