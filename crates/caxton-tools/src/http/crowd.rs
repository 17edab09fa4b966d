//! How many requests are on their way to one host: a slow one must not take all connections that the
//! machine can have, nor one tenant those of another.

use caxton_engine::port::http::Trust;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places by whose they are and the host.
#[derive(Debug)]
pub struct Crowd {
    places_max: usize,
    hosts: Mutex<Hosts>,
}

#[derive(Debug, Default)]
struct Hosts {
    places: HashMap<String, Weak<Semaphore>>,
    /// Hosts at which those that nobody goes to any more are forgotten.
    sweep_at: usize,
}

/// A place; dropped, it is free.
#[derive(Debug)]
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
    /// Keeps the host known while somebody goes to it.
    _host: Arc<Semaphore>,
}

const SWEEP_AT_MIN: usize = 256;

impl Crowd {
    pub fn new(places_max: usize) -> Self {
        Self {
            places_max,
            hosts: Mutex::default(),
        }
    }

    /// Waits for a place.
    pub async fn enter(&self, trust: &Trust, host: &str) -> Place {
        let places = self.host(trust, host);
        // Never closed.
        let permit = Arc::clone(&places).acquire_owned().await.ok();
        Place {
            _permit: permit,
            _host: places,
        }
    }

    fn host(&self, trust: &Trust, host: &str) -> Arc<Semaphore> {
        let key = match trust {
            Trust::Operator => host.to_owned(),
            // A host's name has no slash.
            Trust::Tenant(tenant) => format!("{tenant}/{host}"),
        };
        let mut hosts = self.hosts.lock();
        if let Some(found) = hosts.places.get(&key).and_then(Weak::upgrade) {
            return found;
        }
        if hosts.places.len() >= hosts.sweep_at {
            hosts.places.retain(|_, places| places.strong_count() > 0);
            hosts.sweep_at = (hosts.places.len() * 2).max(SWEEP_AT_MIN);
        }
        let made = Arc::new(Semaphore::new(self.places_max));
        hosts.places.insert(key, Arc::downgrade(&made));
        made
    }
}
