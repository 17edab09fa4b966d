//! The audit chain: what an entry is, how each is bound to the one before, and how a file of them is
//! checked by somebody who has nothing but the file and a public key.
//!
//! Each tenant has a chain of its own, and the platform has one. An entry's hash is SHA-256 over the
//! hash before it and all of its fields, each with its length before it, so that no two different
//! entries read the same. Whoever changes, drops, swaps or adds an entry changes every hash after it;
//! whoever cuts the end off does not have the signature of the shorter chain.
//!
//! People stand in it by pseudonyms only. Who a pseudonym is, is kept elsewhere and can be erased
//! without touching the chain.

mod summary;

pub use summary::{ACTS_MAX, ActLine, NAMES_MAX, Summary, Tally};

use crate::error::shown;
use crate::tenant::TenantId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// The version of the form that hashes are taken of.
const FORM: &[u8] = b"caxton.audit.1";
/// What a signature is made of begins with this, so that it can never be taken for another's.
const SIGNED: &[u8] = b"caxton.audit.head.1";
/// Longest line of a file that is read, in bytes.
const LINE_BYTES_MAX: usize = 64 << 10;

/// A hash of the chain, in hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What stands before the first entry.
    pub const ZERO: Self = Self([0; 32]);

    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex_into(text, &mut bytes)?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Hash {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a hash is 64 hex digits")
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

/// Bytes in lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let digits = bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]);
    digits.collect()
}

/// Reads exactly as many bytes as there is room for.
pub fn hex_into(text: &str, bytes: &mut [u8]) -> Option<()> {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
    if text.len() != bytes.len() * 2 || !plain {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(())
}

/// How what was asked for came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was permitted; unless an entry follows that says otherwise, it was done.
    Permitted,
    Denied,
    /// It was permitted before, and could not be done.
    Failed,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Permitted, Self::Denied, Self::Failed];
        all.into_iter().find(|it| it.as_str() == text)
    }
}

/// What happened: an entry without its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event {
    /// When, in microseconds since 1970, UTC.
    pub time: Timestamp,
    /// Who: `admin`, `key:ID`, `cert:NAME`, `system:TASK`, or a person's pseudonym, `person:HEX`.
    pub actor: String,
    /// On whose behalf, where somebody acts for another.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub behalf: String,
    /// What: `noun.verb`, or the operation's full name.
    pub action: String,
    /// Upon what: a path of nouns and ids.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    pub outcome: Outcome,
    /// The `CX-####` of what was denied or failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// The trace it belongs to: 32 hex digits.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace_id: String,
}

/// An entry of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Counted from 1, without gaps.
    pub sequence: u64,
    #[serde(flatten)]
    pub event: Event,
    /// The hash of the entry before.
    pub previous: Hash,
    /// Of this one.
    pub hash: Hash,
}

/// The end of a chain: what the next entry follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Of the last entry; 0 where there is none.
    pub sequence: u64,
    pub hash: Hash,
}

impl Head {
    pub const EMPTY: Self = Self {
        sequence: 0,
        hash: Hash::ZERO,
    };

    /// The entry of an event that comes next in the tenant's chain.
    pub fn next(self, tenant: &TenantId, event: Event) -> Entry {
        let sequence = self.sequence + 1;
        let hash = hash(tenant, sequence, &event, self.hash);
        Entry {
            sequence,
            event,
            previous: self.hash,
            hash,
        }
    }

    /// What a signature of this head is made of.
    pub fn signed_bytes(self, tenant: &TenantId) -> Vec<u8> {
        let mut bytes = Vec::new();
        part(&mut bytes, SIGNED);
        part(&mut bytes, tenant.as_str().as_bytes());
        part(&mut bytes, &self.sequence.to_be_bytes());
        part(&mut bytes, &self.hash.0);
        bytes
    }
}

impl Entry {
    pub fn head(&self) -> Head {
        Head {
            sequence: self.sequence,
            hash: self.hash,
        }
    }

    /// Whether it is the one that comes after this head, unchanged.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn follows(&self, tenant: &TenantId, head: Head) -> Result<(), String> {
        self.fault_after(tenant, head).map_or(Ok(()), Err)
    }

    /// A field of an entry's text that is none of an entry's, and that its hash knows nothing of.
    fn foreign_field(&self, text: &str) -> Option<String> {
        type Fields = BTreeMap<String, serde::de::IgnoredAny>;
        let own = serde_json::to_string(self).ok()?;
        let own: Fields = serde_json::from_str(&own).ok()?;
        // One that is empty may be written, or left out.
        let may_be = |name: &str| matches!(name, "behalf" | "target" | "code" | "traceId");
        let given: Fields = serde_json::from_str(text).ok()?;
        let mut names = given.into_keys();
        let foreign = names.find(|name| !own.contains_key(name) && !may_be(name));
        foreign.map(|name| shown(&name))
    }

    fn fault_after(&self, tenant: &TenantId, head: Head) -> Option<String> {
        if self.sequence != head.sequence + 1 {
            return Some(format!(
                "entry {} stands where {} should",
                self.sequence,
                head.sequence + 1
            ));
        }
        if self.previous != head.hash {
            return Some(format!(
                "entry {} does not follow the entry before it",
                self.sequence
            ));
        }
        let changed = hash(tenant, self.sequence, &self.event, self.previous) != self.hash;
        changed.then(|| format!("entry {} was changed", self.sequence))
    }
}

fn part(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u64).to_be_bytes());
    bytes.extend_from_slice(part);
}

fn hash(tenant: &TenantId, sequence: u64, event: &Event, previous: Hash) -> Hash {
    let mut bytes = Vec::with_capacity(256);
    part(&mut bytes, FORM);
    part(&mut bytes, &previous.0);
    part(&mut bytes, tenant.as_str().as_bytes());
    part(&mut bytes, &sequence.to_be_bytes());
    part(&mut bytes, &event.time.as_us().to_be_bytes());
    for text in [
        &event.actor,
        &event.behalf,
        &event.action,
        &event.target,
        event.outcome.as_str(),
        &event.code,
        &event.trace_id,
    ] {
        part(&mut bytes, text.as_bytes());
    }
    Hash(Sha256::digest(&bytes).into())
}

/// A head with the server's signature of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signed {
    pub sequence: u64,
    pub hash: Hash,
    /// Ed25519 over [`Head::signed_bytes`], in hex.
    pub signature: String,
    /// The key to check it with, in hex.
    pub public_key: String,
}

impl Signed {
    pub fn head(&self) -> Head {
        Head {
            sequence: self.sequence,
            hash: self.hash,
        }
    }
}

/// The first line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Opening {
    /// `1`.
    pub caxton_audit: u32,
    /// Whose chain; empty is the platform's.
    pub tenant: String,
    /// What the first entry follows: the beginning, or where older entries were let go, signed.
    pub root: Option<Signed>,
}

/// The last line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Closing {
    /// Entries between the first line and this.
    pub entries: u64,
    pub head: Signed,
}

/// Checks a signature: public key, what was signed, signature.
pub type CheckSignature<'a> = &'a dyn Fn(&[u8; 32], &[u8], &[u8; 64]) -> bool;

/// Why a file is not a whole export of a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Broken {
    /// Counted from 1.
    pub line: u64,
    pub what: String,
}

/// What a good file has in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub tenant: String,
    pub entries: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    pub head: Head,
    /// The key that signed it, in hex.
    pub public_key: String,
}

/// Checks an export line by line, so that a file of any size can be.
#[derive(Debug)]
pub struct Verifier {
    line: u64,
    tenant: Option<(String, TenantId)>,
    head: Head,
    entries: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    root_key: Option<String>,
    closed: Option<Signed>,
    /// A head that was noted before, and whether the chain has it.
    expected: Option<Hash>,
    met: bool,
}

impl Default for Verifier {
    fn default() -> Self {
        Self::expecting(None)
    }
}

impl Verifier {
    /// One for a file that must have a head that was noted before. It need not end there: who reads a
    /// chain may add to it by that.
    pub fn expecting(expected: Option<Hash>) -> Self {
        Self {
            expected,
            met: false,
            line: 0,
            tenant: None,
            head: Head::EMPTY,
            entries: 0,
            first: None,
            last: None,
            root_key: None,
            closed: None,
        }
    }
}

impl Verifier {
    fn broken(&self, what: impl Into<String>) -> Broken {
        Broken {
            line: self.line,
            what: what.into(),
        }
    }

    /// Takes the next line, without its end.
    pub fn line(&mut self, text: &str, check: CheckSignature<'_>) -> Result<(), Broken> {
        self.entry(text, check).map(|_| ())
    }

    /// The same, which gives the entry, where the line is one.
    pub fn entry(
        &mut self,
        text: &str,
        check: CheckSignature<'_>,
    ) -> Result<Option<Entry>, Broken> {
        self.line += 1;
        if text.len() > LINE_BYTES_MAX {
            return Err(self.broken("is too long"));
        }
        if self.closed.is_some() {
            return Err(self.broken("stands after the footer"));
        }
        let Some((_, tenant)) = &self.tenant else {
            return self.open(text, check).map(|()| None);
        };
        let tenant = tenant.clone();
        if let Ok(closing) = serde_json::from_str::<Closing>(text) {
            return self.close(&tenant, closing, check).map(|()| None);
        }
        let entry: Entry = serde_json::from_str(text)
            .map_err(|error| self.broken(format!("is no entry: {error}")))?;
        if let Some(field) = entry.foreign_field(text) {
            return Err(self.broken(format!("has a field that no entry has: {field}")));
        }
        if let Some(fault) = entry.fault_after(&tenant, self.head) {
            return Err(self.broken(fault));
        }
        self.head = entry.head();
        self.met |= self.expected == Some(self.head.hash);
        self.entries += 1;
        self.first.get_or_insert(entry.event.time);
        self.last = Some(entry.event.time);
        Ok(Some(entry))
    }

    /// Whose chain it is, once the first line was read; empty is the platform's.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_ref().map(|(text, _)| text.as_str())
    }

    fn open(&mut self, text: &str, check: CheckSignature<'_>) -> Result<(), Broken> {
        let opening: Opening = serde_json::from_str(text)
            .map_err(|error| self.broken(format!("is no opening of an export: {error}")))?;
        if opening.caxton_audit != 1 {
            return Err(self.broken("is of a form this version does not know"));
        }
        let id = match opening.tenant.as_str() {
            "" => TenantId::platform(),
            text => TenantId::parse(text).map_err(|error| self.broken(error.detail))?,
        };
        if let Some(root) = &opening.root {
            self.signature(&id, root, check)?;
            self.head = root.head();
            self.met |= self.expected == Some(self.head.hash);
            self.root_key = Some(root.public_key.clone());
        }
        self.tenant = Some((opening.tenant, id));
        Ok(())
    }

    fn close(
        &mut self,
        tenant: &TenantId,
        closing: Closing,
        check: CheckSignature<'_>,
    ) -> Result<(), Broken> {
        if closing.entries != self.entries {
            let what = format!(
                "the footer tells of {} entries, and there are {}",
                closing.entries, self.entries
            );
            return Err(self.broken(what));
        }
        if closing.head.head() != self.head {
            return Err(self.broken("the footer is of another end than the last entry"));
        }
        let mixed = self
            .root_key
            .as_ref()
            .is_some_and(|key| *key != closing.head.public_key);
        if mixed {
            return Err(self.broken("root and footer are signed by two keys"));
        }
        self.signature(tenant, &closing.head, check)?;
        self.closed = Some(closing.head);
        Ok(())
    }

    fn signature(
        &self,
        tenant: &TenantId,
        signed: &Signed,
        check: CheckSignature<'_>,
    ) -> Result<(), Broken> {
        let (mut key, mut signature) = ([0; 32], [0; 64]);
        let read = hex_into(&signed.public_key, &mut key)
            .and_then(|()| hex_into(&signed.signature, &mut signature));
        let bytes = signed.head().signed_bytes(tenant);
        if read.is_some() && check(&key, &bytes, &signature) {
            return Ok(());
        }
        Err(self.broken("the signature is not good"))
    }

    /// After the last line: whether the file was whole and signed by this key, where that is asked, and
    /// has the head that was expected.
    pub fn finish(self, public_key: Option<&str>) -> Result<Report, Broken> {
        let Some(signed) = &self.closed else {
            let what = match &self.tenant {
                None => "the file is empty",
                Some(_) => "the file ends without its signed footer: its tail is cut off",
            };
            return Err(Broken {
                line: self.line + 1,
                what: what.to_owned(),
            });
        };
        if public_key.is_some_and(|key| key != signed.public_key) {
            let what = format!("it is signed by another key, {}", signed.public_key);
            return Err(self.broken(what));
        }
        if let Some(expected) = self
            .expected
            .filter(|hash| !self.met && *hash != self.head.hash)
        {
            let end = self.head.hash;
            let what = format!("it has no entry whose head is {expected}; it ends with {end}");
            return Err(self.broken(what));
        }
        Ok(Report {
            tenant: self.tenant.map(|(text, _)| text).unwrap_or_default(),
            entries: self.entries,
            first: self.first,
            last: self.last,
            head: self.head,
            public_key: signed.public_key.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
