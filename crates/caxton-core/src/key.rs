//! API keys as texts: `cx_<kind>_<public id>_<secret>`, all base62.
//!
//! The public id names the key and may stand in logs. The secret has 256 random bits, so that a plain
//! hash of it is safe to keep: there is no dictionary of such secrets to try.

use crate::error::{Code, Error};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt;

/// Random bytes of a public id: enough that two keys of one server never meet.
pub const ID_BYTES: usize = 8;
/// Random bytes of a secret.
pub const SECRET_BYTES: usize = 32;
/// Letters of a kind.
const KIND_BYTES: usize = 3;
const ID_DIGITS: usize = digits(ID_BYTES);
const SECRET_DIGITS: usize = digits(SECRET_BYTES);

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The platform's: acts in every tenant.
    Adm,
    /// A tenant's, for its servers.
    Key,
    /// A tenant's, for the page that a widget stands on: may be read by anybody.
    Pub,
    /// A visitor's of such a page.
    Vis,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Adm => "adm",
            Self::Key => "key",
            Self::Pub => "pub",
            Self::Vis => "vis",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::Adm, Self::Key, Self::Pub, Self::Vis];
        all.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A key, taken apart. It is shown without its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText {
    pub kind: Kind,
    pub id: String,
    secret: String,
}

/// The SHA-256 of a secret: what is kept of it.
pub type SecretHash = [u8; 32];

impl KeyText {
    /// Makes a key of random bytes.
    pub fn new(kind: Kind, id: &[u8; ID_BYTES], secret: &[u8; SECRET_BYTES]) -> Self {
        Self {
            kind,
            id: base62(id),
            secret: base62(secret),
        }
    }

    /// The key with another secret.
    #[must_use]
    pub fn with_secret(kind: Kind, id: &str, secret: &[u8; SECRET_BYTES]) -> Self {
        Self {
            kind,
            id: id.to_owned(),
            secret: base62(secret),
        }
    }

    /// Reads a key: exactly of the form, nothing before or after. What is wrong with it is not said,
    /// for whoever has no key should learn nothing from trying.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts = KeyParts::parse(text)?;
        Ok(Self {
            kind: parts.kind,
            id: parts.id.to_owned(),
            secret: parts.secret.to_owned(),
        })
    }

    /// All of it, secret included: to be shown once.
    pub fn expose(&self) -> String {
        format!("cx_{}_{}_{}", self.kind.as_str(), self.id, self.secret)
    }

    pub fn hash(&self) -> SecretHash {
        Sha256::digest(&self.secret).into()
    }
}

/// The parts of a key, where they stand in its text.
#[derive(Clone, Copy)]
pub struct KeyParts<'a> {
    pub kind: Kind,
    pub id: &'a str,
    secret: &'a str,
}

impl<'a> KeyParts<'a> {
    /// As [`KeyText::parse`], which it is the same as.
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        Self::read(text).ok_or_else(|| Error::new(Code::Unauthenticated, "the key is not known"))
    }

    fn read(text: &'a str) -> Option<Self> {
        let (kind, rest) = text.strip_prefix("cx_")?.split_at_checked(KIND_BYTES)?;
        let (id, rest) = rest.strip_prefix('_')?.split_at_checked(ID_DIGITS)?;
        let secret = rest.strip_prefix('_')?;
        let kind = Kind::parse(kind)?;
        // Without a way out of the loop, so that many bytes are looked at in one step.
        let digits = |part: &str| {
            part.bytes()
                .fold(true, |all, it| all & it.is_ascii_alphanumeric())
        };
        let fits = secret.len() == SECRET_DIGITS && digits(id) && digits(secret);
        fits.then_some(Self { kind, id, secret })
    }

    pub fn hash(&self) -> SecretHash {
        Sha256::digest(self.secret).into()
    }
}

impl fmt::Debug for KeyParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cx_{}_{}_…", self.kind.as_str(), self.id)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cx_{}_{}_…", self.kind.as_str(), self.id)
    }
}

/// The text with no key's secret in it: somebody who gives a whole key where its id is asked for must not
/// find it in a log.
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    if !text.contains("cx_") {
        return Cow::Borrowed(text);
    }
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.find(|c| !inner(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word);
        match KeyParts::parse(word) {
            Ok(key) => {
                out.push_str(&format!("{key:?}"));
            }
            Err(_) => out.push_str(word),
        }
        let between = after.find(inner).unwrap_or(after.len());
        let (between, after) = after.split_at(between);
        out.push_str(between);
        rest = after;
    }
    Cow::Owned(out)
}

/// Digits of so many bytes: log 256 / log 62 = 1.3437 a byte.
const fn digits(bytes: usize) -> usize {
    (bytes * 13_437).div_ceil(10_000)
}

/// The bytes as one number in base 62, always as many digits as the largest such number has, so that
/// a key's length tells nothing of its secret.
pub fn base62(bytes: &[u8]) -> String {
    let mut number = bytes.to_vec();
    let digits = digits(bytes.len());
    let mut text: Vec<u8> = Vec::with_capacity(digits);
    for _ in 0..digits {
        let mut rest = 0_usize;
        for byte in &mut number {
            let value = rest * 256 + usize::from(*byte);
            // Below 256, because `rest` is below 62.
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            rest = value % 62;
        }
        text.push(ALPHABET.get(rest).copied().unwrap_or(b'0'));
    }
    text.reverse();
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn base62_is_positional_and_of_fixed_length() {
        assert_eq!(base62(&[0]), "00");
        assert_eq!(base62(&[61]), "0z");
        assert_eq!(base62(&[62]), "10");
        assert_eq!(base62(&[255]), "47");
        assert_eq!(base62(&[0; 32]).len(), 43);
        // 2^256 - 1 in base 62, computed independently: 43 digits, none lost.
        assert_eq!(base62(&[255; 32]).len(), 43);
        assert_ne!(base62(&[255; 32]).as_bytes().first(), Some(&b'0'));
        assert_ne!(base62(&[1, 0]), base62(&[0, 1]));
    }

    #[test]
    fn a_text_is_shown_without_the_secrets_in_it() {
        let key = KeyText::new(Kind::Key, &[7; 8], &[9; 32]);
        let (whole, id) = (key.expose(), &key.id);
        let shown = format!("cx_key_{id}_…");
        assert_eq!(without_secrets(&whole), shown);
        let (path, safe) = (
            format!("/v1/keys/{whole}/rotate-é {whole}"),
            format!("/v1/keys/{shown}/rotate-é {shown}"),
        );
        assert_eq!(without_secrets(&path), safe);
        assert_eq!(crate::error::shown(&whole), shown);
        for plain in ["", "/v1/keys", "cx_", "cx_key_1_2", &shown] {
            assert_eq!(without_secrets(plain), plain);
        }
    }

    #[test]
    fn a_key_reads_as_it_is_written() {
        for kind in [Kind::Adm, Kind::Key, Kind::Pub, Kind::Vis] {
            let key = KeyText::new(kind, &[7; 8], &[9; 32]);
            let text = key.expose();
            assert_eq!(KeyText::parse(&text).unwrap(), key, "{text}");
            assert!(!format!("{key:?}").contains(&key.secret));
        }
        let (one, other) = (
            KeyText::new(Kind::Key, &[1; 8], &[1; 32]),
            KeyText::new(Kind::Key, &[1; 8], &[2; 32]),
        );
        assert_ne!(one.hash(), other.hash());
    }

    #[test]
    fn what_is_no_key_is_refused_without_a_reason() {
        let good = KeyText::new(Kind::Key, &[7; 8], &[9; 32]).expose();
        let cut = &good[..good.len() - 1];
        let cases = [
            "",
            "cx",
            "cx_key__",
            cut,
            &format!("{good}0"),
            &format!("{good} "),
            &format!(" {good}"),
            &format!("{good}_"),
            &good.replace("cx_", "CX_"),
            &good.replace("_key_", "_own_"),
            &good.replacen('0', "ä", 1),
            &"x".repeat(10_000),
        ];
        for wrong in cases {
            let error = KeyText::parse(wrong).unwrap_err();
            assert_eq!(error.code, Code::Unauthenticated, "{wrong}");
            assert_eq!(error.detail, "the key is not known");
        }
    }
}
