//! Key-value state. A mailbox is handled by one instance at a time, so what the host has read or
//! written it may remember; the store is asked once per key.

use super::Host;
use bytes::Bytes;
use caxton_core::error::{Code, Error};
use caxton_core::quota::{STATE_KEY_BYTES_MAX, STATE_KEYS_PAGE_MAX};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Most bytes of values one host remembers; past it, it forgets what is durable.
const CACHE_BYTES_MAX: usize = 256 << 10;

/// Layers of the same keys, newest first: of this handler, handled but not yet durable, durable.
#[derive(Debug, Default)]
pub(super) struct StateView {
    handling: BTreeMap<String, Option<Bytes>>,
    staged: BTreeMap<String, Option<Bytes>>,
    durable: HashMap<String, Option<Bytes>>,
    durable_bytes: usize,
}

impl StateView {
    fn get(&self, key: &str) -> Option<&Option<Bytes>> {
        self.handling
            .get(key)
            .or_else(|| self.staged.get(key))
            .or_else(|| self.durable.get(key))
    }

    fn remember(&mut self, key: String, value: Option<Bytes>) {
        let size = key.len() + value.as_ref().map_or(0, Bytes::len);
        if self.durable_bytes + size > CACHE_BYTES_MAX {
            self.durable.clear();
            self.durable_bytes = 0;
        }
        if size <= CACHE_BYTES_MAX {
            self.durable_bytes += size;
            self.durable.insert(key, value);
        }
    }

    pub(super) fn stage(&mut self) {
        self.staged.append(&mut self.handling);
    }

    pub(super) fn abandon(&mut self) {
        self.handling.clear();
    }

    pub(super) fn commit(&mut self) {
        for (key, value) in std::mem::take(&mut self.staged) {
            self.remember(key, value);
        }
    }
}

impl Host {
    pub async fn state_get(&mut self, key: &str) -> Result<Option<Bytes>, Error> {
        self.charge()?;
        check_key(key)?;
        if let Some(known) = self.inner.state.get(key) {
            return Ok(known.clone());
        }
        let read = self
            .inner
            .services
            .store
            .state(&self.inner.scope, &self.inner.mailbox, key);
        let value = read.await?;
        self.inner.state.remember(key.to_owned(), value.clone());
        Ok(value)
    }

    /// Writes; durable together with the handled message.
    pub fn state_set(&mut self, key: &str, value: Bytes) -> Result<(), Error> {
        let max = self.inner.manifest.limits.state_value_bytes_max;
        if value.len() as u64 > max {
            return Err(Error::new(
                Code::StateTooLarge,
                format!(
                    "the value has {} bytes, state_value_bytes_max is {max}",
                    value.len()
                ),
            ));
        }
        self.write(key, Some(value))
    }

    pub fn state_delete(&mut self, key: &str) -> Result<(), Error> {
        self.write(key, None)
    }

    fn write(&mut self, key: &str, value: Option<Bytes>) -> Result<(), Error> {
        self.charge()?;
        check_key(key)?;
        let size = (key.len() + value.as_ref().map_or(0, Bytes::len)) as u64;
        let max = self.inner.manifest.limits.state_writes_bytes_max;
        if self.inner.used.state_bytes + size > max {
            return Err(Error::new(
                Code::HostCallLimit,
                format!("more than {max} bytes of state written for one message"),
            ));
        }
        self.inner.used.state_bytes += size;
        self.inner
            .state
            .handling
            .insert(key.to_owned(), value.clone());
        self.inner.effects.state.push((key.to_owned(), value));
        Ok(())
    }

    /// Keys that begin with `prefix`, in byte order, strictly after `after`.
    pub async fn state_keys(
        &mut self,
        prefix: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>, Error> {
        self.charge()?;
        let limit = limit.clamp(1, STATE_KEYS_PAGE_MAX);
        let layers = [&self.inner.state.staged, &self.inner.state.handling];
        let mut written: BTreeMap<&String, bool> = BTreeMap::new();
        for (key, value) in layers.into_iter().flatten() {
            if key.starts_with(prefix) && key.as_str() > after {
                written.insert(key, value.is_some());
            }
        }
        // Removed keys may stand in the page, so that many rows more are asked for.
        let removed = written.values().filter(|there| !**there).count();
        let rows_max = limit.saturating_add(u32::try_from(removed).unwrap_or(u32::MAX));
        let (store, mailbox) = (&self.inner.services.store, &self.inner.mailbox);
        let stored = store
            .state_keys(&self.inner.scope, mailbox, prefix, after, rows_max)
            .await?;
        let mut keys: BTreeSet<String> = stored.into_iter().collect();
        for (key, there) in written {
            if there {
                keys.insert(key.clone());
            } else {
                keys.remove(key);
            }
        }
        Ok(keys.into_iter().take(limit as usize).collect())
    }
}

fn check_key(key: &str) -> Result<(), Error> {
    if (1..=STATE_KEY_BYTES_MAX).contains(&key.len()) {
        return Ok(());
    }
    Err(Error::new(
        Code::StateTooLarge,
        format!(
            "a state key has 1 to {STATE_KEY_BYTES_MAX} bytes, this one {}",
            key.len()
        ),
    ))
}
