//! Answers as they are kept for repetitions, when they have a secret in them.
//!
//! A secret that the server made is kept nowhere else but as a hash, so its answer is sealed with what
//! only its caller has: a key derived from the API key that the request came with, the tenant and the
//! `Idempotency-Key`. Neither the database nor a backup opens it. Who comes with a token or a
//! certificate has no secret that is the same the next time: the answer is withheld.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use bytes::Bytes;
use caxton_api::CallContext;
use caxton_core::TenantId;
use caxton_core::error::{Code, Error};
use sha2::{Digest, Sha256};

use crate::jwt::VerifiedToken;

/// What the key is derived for; another form of what is sealed gets another.
const PURPOSE: &[u8] = b"caxton idempotency answer 1";
const NONCE_BYTES: usize = 12;

/// First bytes of an answer that is kept: in clear, sealed, or not.
const PLAIN: u8 = 0;
const SEALED: u8 = 1;
const WITHHELD: u8 = 2;

/// Whether an answer has a secret in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    Plain,
    Secret,
}

/// Keeps and gives the answers of one keyed request.
pub(super) struct Seal(Option<[u8; 32]>);

impl Seal {
    /// Of a request with this `Idempotency-Key`.
    pub(super) fn of(call: &CallContext, tenant: &TenantId, key: &str) -> Self {
        let token = call.extensions.get::<Arc<VerifiedToken>>();
        let credential = call.credential.as_ref().filter(|_| token.is_none());
        Self(credential.map(|it| derive(it.expose(), tenant.as_str(), key)))
    }

    /// An answer as it may be kept; one that cannot be sealed is withheld.
    pub(super) fn close(&self, secrecy: Secrecy, answer: Vec<u8>) -> Bytes {
        if secrecy == Secrecy::Plain {
            return [&[PLAIN], answer.as_slice()].concat().into();
        }
        let sealed = self.0.as_ref().and_then(|key| seal(key, answer));
        sealed.unwrap_or(Bytes::from_static(&[WITHHELD]))
    }

    /// What was kept, as an answer again. Errors: `CX-1032` where it is not for this caller to have
    /// any more.
    pub(super) fn open(&self, kept: &[u8]) -> Result<Vec<u8>, Error> {
        let lost = || {
            let detail = "the first request with this Idempotency-Key was done; its answer has a \
                          secret that is shown once, and cannot be shown to this credential again: \
                          rotate what was made to get another secret";
            Error::new(Code::IdempotencyLost, detail)
        };
        match kept.split_first() {
            Some((&PLAIN, answer)) => Ok(answer.to_vec()),
            Some((&SEALED, rest)) => {
                let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES).ok_or_else(lost)?;
                let key = self.0.as_ref().ok_or_else(lost)?;
                let key = RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| lost())?;
                let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| lost())?;
                let mut answer = sealed.to_vec();
                let opened = key.open_in_place(nonce, Aad::empty(), &mut answer);
                Ok(opened.map_err(|_| lost())?.to_vec())
            }
            _ => Err(lost()),
        }
    }
}

fn seal(key: &[u8; 32], mut answer: Vec<u8>) -> Option<Bytes> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let nonce = key.seal_in_place_append_tag(Aad::empty(), &mut answer);
    let nonce = nonce.ok()?;
    Some(
        [&[SEALED], nonce.as_ref().as_slice(), &answer]
            .concat()
            .into(),
    )
}

/// The secret of an API key has 256 random bits, so that a plain hash of it is a key.
fn derive(credential: &str, tenant: &str, key: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [
        PURPOSE,
        credential.as_bytes(),
        tenant.as_bytes(),
        key.as_bytes(),
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ANSWER: &[u8] = b"cx_key_00000000000_secret";

    fn seal_of(credential: &str, tenant: &str, key: &str) -> Seal {
        Seal(Some(derive(credential, tenant, key)))
    }

    #[test]
    fn a_secret_is_opened_by_the_same_caller_with_the_same_key_only() {
        let own = seal_of("cx_key_1_a", "acme", "k");
        let kept = own.close(Secrecy::Secret, ANSWER.to_vec());
        assert!(
            !kept
                .windows(6)
                .any(|it| ANSWER.windows(6).any(|of| of == it))
        );
        assert_eq!(own.open(&kept).unwrap(), ANSWER);
        let others = [
            seal_of("cx_key_1_b", "acme", "k"),
            seal_of("cx_key_1_a", "acme2", "k"),
            seal_of("cx_key_1_a", "acme", "l"),
            // What is at the edge of two parts belongs to one of them.
            seal_of("cx_key_1_aa", "cme", "k"),
            Seal(None),
        ];
        for other in others {
            assert_eq!(other.open(&kept).unwrap_err().code, Code::IdempotencyLost);
        }
        for at in 0..kept.len() {
            let mut changed = kept.to_vec();
            changed[at] ^= 0x80;
            assert!(own.open(&changed).is_err(), "byte {at}");
            assert!(own.open(&kept[..at]).is_err(), "cut at {at}");
        }
        let twice = own.close(Secrecy::Secret, ANSWER.to_vec());
        assert_ne!(kept, twice, "a nonce of its own");
    }

    #[test]
    fn without_a_secret_of_the_callers_own_nothing_secret_is_kept() {
        let kept = Seal(None).close(Secrecy::Secret, ANSWER.to_vec());
        assert_eq!(kept.len(), 1);
        let lost = Seal(None).open(&kept).unwrap_err();
        assert_eq!(lost.code, Code::IdempotencyLost);
        let plain = Seal(None).close(Secrecy::Plain, b"id".to_vec());
        assert_eq!(Seal(None).open(&plain).unwrap(), b"id");
    }
}
