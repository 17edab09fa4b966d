//! The platform admin's key, which lies in the data folder. All other keys are the directory's.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The keys the doors know.
#[derive(Clone)]
pub struct Keys {
    /// Digests, because two of them compare in a time that tells nothing, the keys' lengths neither.
    admin: [u8; 32],
    /// The form every platform key has, where this one has it: what has another is not digested.
    prefix: &'static str,
}

/// What the text of a platform key begins with.
const PREFIX: &str = "cx_adm_";

/// The admin key is empty: every server must have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the admin key is empty")]
pub struct KeyEmpty;

impl Keys {
    /// Knows the platform admin's key; white space around it (a file's last line end) is not part
    /// of it.
    ///
    /// # Errors
    /// [`KeyEmpty`].
    pub fn new(admin_key: &str) -> Result<Self, KeyEmpty> {
        let key = admin_key.trim();
        if key.is_empty() {
            return Err(KeyEmpty);
        }
        Ok(Self {
            admin: Sha256::digest(key).into(),
            prefix: if key.starts_with(PREFIX) { PREFIX } else { "" },
        })
    }

    /// Whether this is the admin's key.
    pub(crate) fn is_admin(&self, key: &str) -> bool {
        if !key.starts_with(self.prefix) {
            return false;
        }
        let given: [u8; 32] = Sha256::digest(key).into();
        bool::from(given.ct_eq(&self.admin))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_very_key_is_known() {
        let keys = Keys::new("cx_adm_1_secret\n").unwrap();
        assert!(keys.is_admin("cx_adm_1_secret"));
        for wrong in ["", "cx_adm_1_secre", "cx_adm_1_secret ", "CX_ADM_1_SECRET"] {
            assert!(!keys.is_admin(wrong), "{wrong}");
        }
        let own = Keys::new("a secret of ours").unwrap();
        assert!(own.is_admin("a secret of ours"));
        assert!(!own.is_admin("cx_adm_1_secret"));
        assert_eq!(Keys::new(" \n").unwrap_err(), KeyEmpty);
        assert!(!format!("{keys:?}").contains("secret"));
    }
}
