//! `Idempotency-Key`: a creation that is repeated because its answer was lost happens once.
//!
//! The key is remembered per tenant and principal, with a digest of the operation and its request.
//! A success is remembered with its answer; a failure frees the key, since nothing was created and
//! the caller will want to try again. All is in memory and bounded: a restart forgets.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use caxton_core::error::{Code, Error};
use caxton_core::grant::Principal;
use caxton_core::{TenantId, Timestamp};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;
/// What a repeated request is told to wait while the first is in progress.
const RETRY_AFTER: Duration = Duration::from_secs(1);

type Key = (TenantId, String, String);

/// The keys remembered. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Idempotency {
    inner: Arc<Mutex<Remembered>>,
    kept: Duration,
    keys_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Remembered {
    entries: HashMap<Key, Entry>,
    /// Answered keys, the oldest first: each has its entry, and each answered entry stands here once.
    answered: VecDeque<(Timestamp, Key)>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    fingerprint: [u8; 32],
    /// Absent while the first request is in progress.
    answer: Option<(Timestamp, Vec<u8>)>,
}

/// What to do with a request that has a key.
pub(crate) enum Begun {
    /// It is the first: do it, and settle the claim.
    First(Claim),
    /// It was done: this is the first one's answer, encoded.
    Replay(Vec<u8>),
}

/// The right to do a keyed request. Dropped without an answer it frees the key.
pub(crate) struct Claim {
    of: Idempotency,
    key: Option<Key>,
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claim")
    }
}

impl Idempotency {
    pub(crate) fn new(kept: Duration, keys_max: usize, bytes_max: usize) -> Self {
        Self {
            inner: Arc::default(),
            kept,
            keys_max,
            bytes_max,
        }
    }

    /// Takes a key up. `request` is its operation and its encoded body.
    ///
    /// # Errors
    /// `CX-1022` for a key that is too long, `CX-1030` where it was used for another request,
    /// `CX-1031` where its first request is in progress, `CX-6004` where too many are.
    pub(crate) fn begin(
        &self,
        tenant: &TenantId,
        principal: &Principal,
        key: &str,
        request: (&str, &[u8]),
        now: Timestamp,
    ) -> Result<Begun, Error> {
        if key.len() > KEY_BYTES_MAX {
            let what = format!("is longer than {KEY_BYTES_MAX} bytes");
            return Err(Error::new(
                Code::ParameterMalformed,
                format!("`Idempotency-Key` {what}"),
            )
            .with_fields(vec![("idempotency-key".to_owned(), what)]));
        }
        let fingerprint: [u8; 32] = Sha256::new()
            .chain_update((request.0.len() as u64).to_be_bytes())
            .chain_update(request.0)
            .chain_update(request.1)
            .finalize()
            .into();
        let key: Key = (tenant.clone(), principal.to_string(), key.to_owned());
        let mut remembered = self.inner.lock();
        remembered.forget(now, self.kept, self.keys_max, self.bytes_max);
        if let Some(entry) = remembered.entries.get(&key) {
            return entry.again(fingerprint);
        }
        if remembered.entries.len() >= self.keys_max {
            return Err(Error::new(
                Code::Overloaded,
                "too many requests with an Idempotency-Key are in progress",
            )
            .retry_after(RETRY_AFTER));
        }
        remembered.entries.insert(
            key.clone(),
            Entry {
                fingerprint,
                answer: None,
            },
        );
        Ok(Begun::First(Claim {
            of: self.clone(),
            key: Some(key),
        }))
    }
}

impl Entry {
    fn again(&self, fingerprint: [u8; 32]) -> Result<Begun, Error> {
        if self.fingerprint != fingerprint {
            return Err(Error::new(
                Code::IdempotencyMismatch,
                "the Idempotency-Key was given before with another request",
            ));
        }
        match &self.answer {
            Some((_, answer)) => Ok(Begun::Replay(answer.clone())),
            None => Err(Error::new(
                Code::IdempotencyBusy,
                "the first request with this Idempotency-Key is not answered yet",
            )
            .retry_after(RETRY_AFTER)),
        }
    }
}

impl Claim {
    /// Remembers the answer.
    pub(crate) fn answered(mut self, answer: Vec<u8>, now: Timestamp) {
        let Some(key) = self.key.take() else {
            return;
        };
        let mut remembered = self.of.inner.lock();
        remembered.bytes += answer.len();
        if let Some(entry) = remembered.entries.get_mut(&key) {
            entry.answer = Some((now, answer));
        }
        remembered.answered.push_back((now, key));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.of.inner.lock().entries.remove(&key);
        }
    }
}

impl Remembered {
    /// Forgets what is too old, and the oldest while there is too much. Keys in progress stay.
    fn forget(&mut self, now: Timestamp, kept: Duration, keys_max: usize, bytes_max: usize) {
        while let Some((at, _)) = self.answered.front() {
            let old = now.since(*at) > kept;
            if !old && self.entries.len() < keys_max && self.bytes <= bytes_max {
                return;
            }
            let Some((_, key)) = self.answered.pop_front() else {
                return;
            };
            if let Some((_, answer)) = self.entries.remove(&key).and_then(|entry| entry.answer) {
                self.bytes -= answer.len();
            }
        }
    }
}

#[cfg(test)]
mod tests;
