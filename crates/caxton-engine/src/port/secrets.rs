//! Secrets of tenants, sealed under the server's master key. What is stored is sealed; what is open
//! lives as short as its use and is never shown.

use caxton_core::error::{Code, Error};
use std::fmt;
use std::sync::Arc;

/// A text that must not be seen: its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, to be sent and not to be kept.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Seals and opens. `place` says what a secret is of (tenant and noun); sealed for one place, it
/// opens in no other.
pub trait Secrets: Send + Sync + fmt::Debug {
    fn seal(&self, place: &str, open: &[u8]) -> Result<Vec<u8>, Error>;
    /// Errors: `CX-7030` where it was sealed under another key, for another place, or was changed.
    fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, Error>;
    /// Whether something is sealed under the present key; what is not can be opened and sealed anew.
    fn is_current(&self, sealed: &[u8]) -> bool;
}

/// Where there is no master key: nothing can be kept.
#[derive(Debug)]
pub struct NoSecrets;

impl NoSecrets {
    fn refuse() -> Error {
        Error::new(Code::SecretsUnavailable, "this server has no master key")
    }
}

impl Secrets for NoSecrets {
    fn seal(&self, _place: &str, _open: &[u8]) -> Result<Vec<u8>, Error> {
        Err(Self::refuse())
    }

    fn open(&self, _place: &str, _sealed: &[u8]) -> Result<Vec<u8>, Error> {
        Err(Self::refuse())
    }

    fn is_current(&self, _sealed: &[u8]) -> bool {
        false
    }
}
