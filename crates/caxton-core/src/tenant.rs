//! A tenant: a namespace of agents, keys, quotas and data, walled off from every other.

use crate::error::{Code, Error};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;

/// Longest tenant id, in bytes.
pub const TENANT_ID_BYTES_MAX: usize = 63;

/// The platform's own namespace; not an id that [`TenantId::parse`] takes.
const PLATFORM: &str = "$platform";

/// A tenant's id. Short names lie in the value itself: every message names its tenant several times,
/// and a shared reference count would be the one cache line that all processors fight for.
///
/// Form: `[a-z][a-z0-9-]{0,62}`. It is the platform part of an agent's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(SmolStr);

impl TenantId {
    /// The tenant that exists from the first start.
    pub fn default_tenant() -> Self {
        Self(SmolStr::new_static("default"))
    }

    /// Where the server keeps what belongs to no tenant: the list of tenants, the platform's keys. No
    /// text that a user can write parses as it, so that nobody can ask for it by name.
    pub fn platform() -> Self {
        Self(SmolStr::new_static(PLATFORM))
    }

    pub fn is_platform(&self) -> bool {
        self.0 == PLATFORM
    }

    /// Reads an id that a store has written: a user's, or the platform's.
    pub fn parse_stored(text: &str) -> Result<Self, Error> {
        if text == PLATFORM {
            return Ok(Self::platform());
        }
        Self::parse(text)
    }

    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut bytes = text.bytes();
        let head_ok = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        let tail_ok = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if head_ok && tail_ok && text.len() <= TENANT_ID_BYTES_MAX {
            return Ok(Self(SmolStr::new(text)));
        }
        Err(Error::new(
            Code::TenantIdMalformed,
            format!(
                "`{}` is not a tenant id: [a-z][a-z0-9-]{{0,62}}",
                crate::error::shown(text)
            ),
        ))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}

impl TryFrom<String> for TenantId {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_pass() {
        for good in ["a", "default", "acme-2", &"x".repeat(63)] {
            assert!(TenantId::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "A",
            "1a",
            "-a",
            "a_b",
            "a.b",
            "a/../b",
            "a\0",
            "ä",
            PLATFORM,
            &"x".repeat(64),
        ] {
            assert!(TenantId::parse(bad).is_err(), "{bad}");
        }
        assert!(TenantId::parse_stored(PLATFORM).is_ok_and(|id| id.is_platform()));
        assert!(TenantId::parse_stored("$other").is_err());
    }
}
