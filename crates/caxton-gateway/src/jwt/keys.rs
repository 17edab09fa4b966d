//! A set of an issuer's keys (JWK set, RFC 7517), and which of them a token may have been signed with.

use jsonwebtoken::jwk::{Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Keys of one set that are read; providers have two to five.
const KEYS_MAX: usize = 64;

/// The keys of one issuer that verify signatures.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Key>);

struct Key {
    kid: Option<String>,
    /// The one algorithm it is for, where the set says so.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?})", self.kid)
    }
}

/// The text is no JWK set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no JWK set")]
pub(super) struct NotASet;

impl KeySet {
    /// Reads a set. Keys of kinds that are not known, for encryption, or symmetric are passed over, as
    /// RFC 7517, 5 has it.
    pub(super) fn parse(text: &[u8]) -> Result<Self, NotASet> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(text).map_err(|_| NotASet)?;
        let keys = set.keys.into_iter().take(KEYS_MAX).filter_map(read);
        Ok(Self(keys.collect()))
    }

    /// The key a token names, or the only one there is for a token that names none.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let fits = |key: &&Key| {
            let named = kid.is_none() || key.kid.as_deref() == kid;
            let meant = key.algorithm.is_none_or(|it| it == algorithm);
            named && meant && key.key.family() == algorithm.family()
        };
        let mut found = self.0.iter().filter(fits);
        match (found.next(), found.next()) {
            (Some(one), None) => Some(&one.key),
            // Two of one name, or no name and a choice: nobody may guess.
            _ => None,
        }
    }
}

fn read(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let common = &jwk.common;
    if !matches!(common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    if let Some(operations) = &common.key_operations
        && !operations.contains(&KeyOperations::Verify)
    {
        return None;
    }
    let algorithm = match &common.key_algorithm {
        None => None,
        Some(named) => Some(named.to_string().parse().ok()?),
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    // A public key is no secret; one that could verify what anybody signs is not taken.
    if key.family() == AlgorithmFamily::Hmac {
        return None;
    }
    Some(Key {
        kid: common.key_id.clone(),
        algorithm,
        key,
    })
}
