//! Tokens that were verified a moment ago, by their digest, so that the next request with the same one
//! costs a look-up. Bounded; an entry is good until its token ends or [`KEPT`] is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use caxton_core::Timestamp;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::VerifiedToken;

/// Entries of one half; there are two halves.
const HALF_MAX: usize = 4096;
/// Longest time an entry is good.
const KEPT: Duration = Duration::from_secs(300);

/// A token's SHA-256: what is kept must not be usable as a token.
pub(super) type TokenDigest = [u8; 32];

pub(super) fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

#[derive(Debug, Clone)]
struct Entry {
    token: Arc<VerifiedToken>,
    generation: u64,
    until: Timestamp,
}

/// Two halves: a full young one becomes the old one, and the old one's entries that nobody asked for
/// meanwhile are gone.
#[derive(Debug, Default)]
pub(super) struct Results(Mutex<Halves>);

#[derive(Debug, Default)]
struct Halves {
    young: HashMap<TokenDigest, Entry>,
    old: HashMap<TokenDigest, Entry>,
}

impl Results {
    /// The verified token and the generation of the keys it was verified with.
    pub(super) fn get(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Option<(Arc<VerifiedToken>, u64)> {
        let mut halves = self.0.lock();
        let found = match halves.young.get(digest) {
            Some(entry) => entry.clone(),
            None => {
                let entry = halves.old.remove(digest)?;
                halves.put(*digest, entry.clone());
                entry
            }
        };
        if found.until <= now {
            halves.young.remove(digest);
            return None;
        }
        Some((found.token, found.generation))
    }

    pub(super) fn put(
        &self,
        digest: TokenDigest,
        token: Arc<VerifiedToken>,
        generation: u64,
        now: Timestamp,
    ) {
        let until = token.expires.min(now.plus(KEPT));
        let entry = Entry {
            token,
            generation,
            until,
        };
        self.0.lock().put(digest, entry);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let halves = self.0.lock();
        halves.young.len() + halves.old.len()
    }
}

impl Halves {
    fn put(&mut self, digest: TokenDigest, entry: Entry) {
        if self.young.len() >= HALF_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(expires: Timestamp) -> Arc<VerifiedToken> {
        Arc::new(VerifiedToken {
            issuer: "i".to_owned(),
            subject: "s".to_owned(),
            tenant: None,
            roles: Vec::new(),
            expires,
        })
    }

    #[test]
    fn entries_end_with_their_token_or_their_time() {
        let results = Results::default();
        let at = |seconds: i64| Timestamp::from_us(seconds * 1_000_000);
        results.put([1; 32], token(at(10)), 0, at(0));
        results.put([2; 32], token(at(10_000)), 0, at(0));
        assert!(results.get(&[1; 32], at(9)).is_some());
        assert!(results.get(&[1; 32], at(10)).is_none());
        assert!(results.get(&[2; 32], at(299)).is_some());
        assert!(results.get(&[2; 32], at(300)).is_none());
        assert_eq!(results.len(), 0);
    }

    #[test]
    fn there_is_room_for_so_many_and_what_is_used_stays() {
        let results = Results::default();
        let (now, far) = (Timestamp::EPOCH, Timestamp::FAR_FUTURE);
        results.put([9; 32], token(far), 7, now);
        for n in 0..20_000_u32 {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&n.to_le_bytes());
            results.put(digest, token(far), 0, now);
            assert!(results.len() <= 2 * HALF_MAX);
            assert_eq!(results.get(&[9; 32], now).map(|it| it.1), Some(7));
        }
        assert!(results.get(&[0; 32], now).is_none());
    }
}
