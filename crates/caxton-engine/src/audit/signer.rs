//! The server's signature of heads: Ed25519 (RFC 8032), with a key that lies beside the data.

use caxton_core::TenantId;
use caxton_core::audit::{Head, Signed, hex};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use std::fmt;

/// Signs heads of audit chains.
#[derive(Clone)]
pub struct Signer(SigningKey);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public_key())
    }
}

impl Signer {
    /// A signer from its 32 secret random bytes.
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// What its signatures are checked with, in hex.
    pub fn public_key(&self) -> String {
        hex(self.0.verifying_key().as_bytes())
    }

    pub(super) fn sign(&self, tenant: &TenantId, head: Head) -> Signed {
        let signature = self.0.sign(&head.signed_bytes(tenant));
        Signed {
            sequence: head.sequence,
            hash: head.hash,
            signature: hex(&signature.to_bytes()),
            public_key: self.public_key(),
        }
    }
}

/// Checks a signature strictly: for `caxton_core::audit::Verifier`.
pub fn check_signature(public_key: &[u8; 32], signed: &[u8], signature: &[u8; 64]) -> bool {
    let signature = Signature::from_bytes(signature);
    VerifyingKey::from_bytes(public_key)
        .is_ok_and(|key| key.verify_strict(signed, &signature).is_ok())
}
