//! The `Secrets` port: secrets of tenants, sealed with AES-256-GCM before they are stored.
//!
//! It lives with the store because it is the store's data that it protects: a copy of the database
//! tells nothing without the master key, which need not lie beside it. What is sealed begins with the
//! id of its key, so that keys can be changed: the file of keys has one a line, the first seals and
//! all of them open. The place a secret is for (tenant and noun) is authenticated with it, so that a
//! row moved to another tenant does not open there.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use caxton_core::error::{Code, Error};
use caxton_engine::port::{Entropy, Secrets};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 8;
/// The form of what is sealed: this byte, the key's id, the nonce, then ciphertext and tag.
const FORM: u8 = 1;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_LEN;
/// Keys of one file: the present one and those before it.
const KEYS_MAX: usize = 16;
/// Largest secret, in bytes.
const SECRET_BYTES_MAX: usize = 1 << 20;

type KeyId = [u8; KEY_ID_BYTES];

/// Seals and opens under a master key.
pub struct SealedSecrets {
    /// The first seals.
    keys: Vec<(KeyId, LessSafeKey)>,
    entropy: Arc<dyn Entropy>,
}

/// A file that holds no keys.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it is empty")]
    Empty,
    #[error("line {0} is not 64 hexadecimal digits")]
    Malformed(usize),
    #[error("it has more than {KEYS_MAX} keys")]
    TooMany,
}

/// A file of keys without those that only open.
pub fn present_key(text: &str) -> String {
    let of = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let first = text.lines().map(str::trim).find(of);
    first.map(|line| format!("{line}\n")).unwrap_or_default()
}

/// A new key, as its file has it.
pub fn new_master_key(entropy: &dyn Entropy) -> String {
    let mut key = [0_u8; KEY_BYTES];
    entropy.fill(&mut key);
    let mut text = String::with_capacity(2 * KEY_BYTES + 1);
    for byte in key {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    text
}

impl SealedSecrets {
    /// Reads the file of keys: 64 hexadecimal digits a line, the present key first. Empty lines and
    /// those that begin with `#` are nothing.
    ///
    /// # Errors
    /// A text without keys, or with what is none.
    pub fn new(text: &str, entropy: Arc<dyn Entropy>) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bytes = key_bytes(line).ok_or(KeyError::Malformed(number + 1))?;
            let key = UnboundKey::new(&AES_256_GCM, &bytes);
            let key = key.map_err(|_| KeyError::Malformed(number + 1))?;
            keys.push((key_id(&bytes), LessSafeKey::new(key)));
        }
        match keys.len() {
            0 => Err(KeyError::Empty),
            1..=KEYS_MAX => Ok(Self { keys, entropy }),
            _ => Err(KeyError::TooMany),
        }
    }

    /// Keys there are: the present one, and those that only open.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }
}

impl Secrets for SealedSecrets {
    fn seal(&self, place: &str, open: &[u8]) -> Result<Vec<u8>, Error> {
        if open.len() > SECRET_BYTES_MAX {
            let detail = format!("a secret of more than {SECRET_BYTES_MAX} bytes");
            return Err(Error::new(Code::ProviderMalformed, detail));
        }
        let (id, key) = self.keys.first().ok_or_else(unavailable)?;
        // Random nonces of 96 bits are safe for 2^32 secrets under one key (NIST SP 800-38D, 8.3).
        let mut nonce = [0_u8; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let mut sealed = Vec::with_capacity(HEAD_BYTES + open.len() + AES_256_GCM.tag_len());
        sealed.push(FORM);
        sealed.extend_from_slice(id);
        sealed.extend_from_slice(&nonce);
        let aad = associated(&sealed, place);
        let mut text = open.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut text)
            .map_err(|_| unavailable())?;
        sealed.extend_from_slice(&text);
        Ok(sealed)
    }

    fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let (head, text) = sealed
            .split_at_checked(HEAD_BYTES)
            .ok_or_else(unavailable)?;
        let form = head.first().copied();
        let id = head.get(1..=KEY_ID_BYTES).unwrap_or_default();
        let nonce = head.get(1 + KEY_ID_BYTES..).unwrap_or_default();
        let key = self.keys.iter().find(|(known, _)| known == id);
        let (Some(FORM), Some((_, key))) = (form, key) else {
            return Err(unavailable());
        };
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unavailable())?;
        let mut text = text.to_vec();
        let open = key.open_in_place(nonce, Aad::from(associated(head, place)), &mut text);
        open.map(|open| open.to_vec()).map_err(|_| unavailable())
    }

    fn is_current(&self, sealed: &[u8]) -> bool {
        let id = self.keys.first().map(|(id, _)| id.as_slice());
        sealed.get(1..=KEY_ID_BYTES) == id
    }
}

impl fmt::Debug for SealedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedSecrets({} keys)", self.keys.len())
    }
}

/// What is authenticated besides the secret: form and key (the nonce is in the cipher), and the place.
fn associated(head: &[u8], place: &str) -> Vec<u8> {
    let mut aad = head.get(..=KEY_ID_BYTES).unwrap_or_default().to_vec();
    aad.extend_from_slice(place.as_bytes());
    aad
}

fn key_bytes(line: &str) -> Option<[u8; KEY_BYTES]> {
    let mut bytes = [0_u8; KEY_BYTES];
    if line.len() != 2 * KEY_BYTES || !line.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        let digits = line.get(at..at + 2)?;
        // `+f` would be read as a number, too.
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

/// Tells keys apart, and nothing of them.
fn key_id(key: &[u8; KEY_BYTES]) -> KeyId {
    let digest = Sha256::new()
        .chain_update(b"caxton master key id\0")
        .chain_update(key)
        .finalize();
    let mut id = KeyId::default();
    for (to, from) in id.iter_mut().zip(digest) {
        *to = from;
    }
    id
}

/// One answer for all of it: why it does not open is nobody's who cannot open it.
fn unavailable() -> Error {
    let detail = "the secret was kept under another master key, for another place, or was changed";
    Error::new(Code::SecretsUnavailable, detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use caxton_engine::port::SeededEntropy;

    fn secrets(text: &str) -> SealedSecrets {
        SealedSecrets::new(text, Arc::new(SeededEntropy::new(5))).unwrap()
    }

    fn key(seed: u64) -> String {
        new_master_key(&SeededEntropy::new(seed))
    }

    #[test]
    fn what_is_sealed_opens_for_its_place_alone() {
        let secrets = secrets(&key(1));
        for open in [&b""[..], b"sk-secret", &[0; 5000]] {
            let sealed = secrets.seal("acme/provider/openai", open).unwrap();
            assert_eq!(secrets.open("acme/provider/openai", &sealed).unwrap(), open);
            for place in ["", "acme/provider/openai2", "evil/provider/openai"] {
                let error = secrets.open(place, &sealed).unwrap_err();
                assert_eq!(error.code, Code::SecretsUnavailable, "{place}");
            }
        }
    }

    #[test]
    fn nothing_of_a_secret_is_seen_and_none_is_sealed_twice_alike() {
        let secrets = secrets(&key(1));
        let one = secrets.seal("p", b"sk-secret").unwrap();
        let two = secrets.seal("p", b"sk-secret").unwrap();
        assert_ne!(one, two);
        assert!(!one.windows(4).any(|window| window == b"secr"));
    }

    #[test]
    fn a_changed_or_missing_byte_is_found_wherever_it_is() {
        let secrets = secrets(&key(1));
        let sealed = secrets.seal("p", b"sk-secret").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(secrets.open("p", &changed).is_err(), "byte {at}");
            assert!(secrets.open("p", &sealed[..at]).is_err(), "{at} bytes");
        }
        let longer = [&*sealed, &[0]].concat();
        assert!(secrets.open("p", &longer).is_err());
    }

    #[test]
    fn another_key_opens_nothing_and_an_older_one_still_does() {
        let old = secrets(&key(1));
        let sealed = old.seal("p", b"s").unwrap();
        assert!(secrets(&key(2)).open("p", &sealed).is_err());
        let both = secrets(&format!("# since today\n{}\n{}", key(2), key(1)));
        assert_eq!(both.open("p", &sealed).unwrap(), b"s");
        assert!(!both.is_current(&sealed) && old.is_current(&sealed));
        let anew = both.seal("p", b"s").unwrap();
        assert!(both.is_current(&anew));
        assert!(old.open("p", &anew).is_err());
    }

    #[test]
    fn the_present_key_is_the_first() {
        let text = format!("# since today\n\n {}{}", key(2), key(1));
        assert_eq!(present_key(&text), key(2));
        assert_eq!(present_key("# nothing"), "");
    }

    #[test]
    fn a_file_that_holds_no_keys_is_refused() {
        let check = |text: &str, expected: KeyError| {
            let made = SealedSecrets::new(text, Arc::new(SeededEntropy::new(1)));
            assert_eq!(made.unwrap_err(), expected, "{text}");
        };
        check("", KeyError::Empty);
        check("# only words\n", KeyError::Empty);
        check("abc", KeyError::Malformed(1));
        check(
            &format!("{}\n{}", key(1), "zz".repeat(32)),
            KeyError::Malformed(3),
        );
        check(&"+f".repeat(32), KeyError::Malformed(1));
        check(&key(1).repeat(17), KeyError::TooMany);
    }
}
