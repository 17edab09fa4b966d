//! Where an issuer's keys are kept: got when they are needed, again from time to time and when a token
//! names one that is not known, but never more often than [`FETCH_INTERVAL`], whatever tokens come.
//! While the issuer does not answer, the keys there are stay good for [`STALE_MAX`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use caxton_core::Timestamp;
use caxton_engine::port::Clock;
use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::Mutex;
use serde::Deserialize;

use super::fetch::{self, Fetch, FetchError};
use super::keys::KeySet;
use super::{Issuer, KeySource, Refused};

/// Keys are got again at most this often.
pub(super) const FETCH_INTERVAL: Duration = Duration::from_secs(30);
/// Keys are got again when they are this old: one that was taken out is good no longer than this.
pub(super) const FRESH: Duration = Duration::from_secs(300);
/// Keys are used this long while there are no newer ones.
pub(super) const STALE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Where OpenID Connect Discovery 1.0, 4 has an issuer's configuration.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Source {
    issuer: String,
    from: KeySource,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    held: ArcSwapOption<Held>,
    tried: Mutex<Option<Timestamp>>,
    /// One asks at a time; the others wait for its answer, or use what there is.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Held {
    set: KeySet,
    text: Bytes,
    fetched: Timestamp,
    /// Counts the sets that differed.
    generation: u64,
}

impl Source {
    pub(super) fn new(issuer: &Issuer, fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) -> Self {
        Self {
            issuer: issuer.issuer.clone(),
            from: issuer.keys.clone(),
            fetch,
            clock,
            held: ArcSwapOption::empty(),
            tried: Mutex::new(None),
            asking: tokio::sync::Mutex::new(()),
        }
    }

    /// Whether what was verified with the keys of this generation still is, and no look at newer keys
    /// is due.
    pub(super) fn is_current(&self, generation: u64, now: Timestamp) -> bool {
        let held = self.held.load();
        let same = held.as_ref().is_some_and(|it| it.generation == generation);
        same && !self.may_ask(held.as_deref(), now)
    }

    /// Whether the keys are old and may be asked for.
    fn may_ask(&self, held: Option<&Held>, now: Timestamp) -> bool {
        let old = held.is_none_or(|held| now.since(held.fetched) >= FRESH);
        old && self.interval_over(now)
    }

    fn interval_over(&self, now: Timestamp) -> bool {
        let tried = *self.tried.lock();
        tried.is_none_or(|tried| now.since(tried) >= FETCH_INTERVAL)
    }

    /// The key a token was signed with, as far as the token is right about it, and the generation of
    /// the set it is from.
    pub(super) async fn key(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(DecodingKey, u64), Refused> {
        let find = |held: &Held| Some((held.set.find(kid, algorithm)?.clone(), held.generation));
        let now = self.clock.now();
        let held = self.held.load_full();
        if let Some(held) = held.as_deref()
            && let Some(found) = find(held)
        {
            // Old keys are good enough for those who come while somebody asks.
            let usable = now.since(held.fetched) < STALE_MAX;
            let due = self.may_ask(Some(held), now);
            if usable && (!due || self.asking.try_lock().is_err()) {
                return Ok(found);
            }
        }
        self.ask().await;
        let held = self.held.load_full().ok_or(Refused::KeysUnavailable)?;
        if self.clock.now().since(held.fetched) >= STALE_MAX {
            return Err(Refused::KeysUnavailable);
        }
        find(&held).ok_or(Refused::Key)
    }

    /// Gets the keys, unless somebody just did.
    async fn ask(&self) {
        let _asking = self.asking.lock().await;
        let now = self.clock.now();
        if !self.interval_over(now) {
            return;
        }
        *self.tried.lock() = Some(now);
        let got = match self.get().await {
            Ok(text) => KeySet::parse(&text)
                .map(|set| (set, text))
                .map_err(|error| FetchError::new(error.to_string())),
            Err(error) => Err(error),
        };
        match got {
            Ok((set, text)) => self.hold(set, text, now),
            Err(error) => {
                tracing::warn!(issuer = %self.issuer, %error, "the issuer's keys cannot be had");
            }
        }
    }

    fn hold(&self, set: KeySet, text: Bytes, fetched: Timestamp) {
        let generation = match self.held.load().as_ref() {
            None => 0,
            Some(held) if held.text == text => held.generation,
            Some(held) => held.generation.wrapping_add(1),
        };
        self.held.store(Some(Arc::new(Held {
            set,
            text,
            fetched,
            generation,
        })));
    }

    async fn get(&self) -> Result<Bytes, FetchError> {
        match &self.from {
            KeySource::File(path) => read(path).await,
            KeySource::Uri(uri) => self.fetch.get(uri).await,
            KeySource::Discovery => {
                let base = self.issuer.trim_end_matches('/');
                let text = self.fetch.get(&format!("{base}{WELL_KNOWN}")).await?;
                let uri = discovered(&self.issuer, &text)?;
                self.fetch.get(&uri).await
            }
        }
    }
}

/// The address of the keys in an issuer's configuration, which must be that issuer's.
fn discovered(issuer: &str, text: &[u8]) -> Result<String, FetchError> {
    #[derive(Deserialize)]
    struct Configuration {
        issuer: String,
        jwks_uri: String,
    }
    let found: Configuration = serde_json::from_slice(text)
        .map_err(|error| FetchError::new(format!("its configuration cannot be read: {error}")))?;
    if found.issuer != issuer {
        let other = caxton_core::error::shown(&found.issuer);
        return Err(FetchError::new(format!(
            "its configuration is of `{other}`"
        )));
    }
    fetch::permitted(&found.jwks_uri).map_err(FetchError::new)?;
    Ok(found.jwks_uri)
}

async fn read(path: &PathBuf) -> Result<Bytes, FetchError> {
    let failed = |error: std::io::Error| FetchError::new(format!("{}: {error}", path.display()));
    let bytes = tokio::fs::metadata(path).await.map_err(failed)?.len();
    if bytes > fetch::ANSWER_BYTES_MAX as u64 {
        return Err(FetchError::new(format!("{} is too large", path.display())));
    }
    let text = tokio::fs::read(path).await.map_err(failed)?;
    Ok(text.into())
}
