//! Who is who: tenants, API keys and role assignments, kept in the store and at hand for every
//! request.
//!
//! What is at hand is bounded, so that ten thousand idle tenants and their keys cost disk and not
//! memory. A change is written first, then told: whatever was at hand is replaced before the change
//! is answered, and streams that a revoked credential opened hear of it ([`Ended`]).

mod assignment;
mod identity;
mod key;
mod tenant;

pub use assignment::{Assignment, ROLE_ASSIGNMENTS_MAX};
pub use identity::{Ended, Identity};
pub use key::{KEYS_MAX, KeyDraft, KeyRecord, KeySecret, OVERLAP_MAX};
pub use tenant::{Storage, TenantChange, TenantDraft, TenantRecord, TenantState};

use crate::documents::Documents;
use crate::opctx::TenantScope;
use crate::port::{Clock, Entropy, Store};
use caxton_core::error::Error;
use caxton_core::{Epoch, TenantId};
use identity::News;
use key::Known;
use quick_cache::sync::Cache;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Tenants whose records are at hand.
const TENANTS_AT_HAND_MAX: usize = 4096;
/// Keys whose records are at hand.
const KEYS_AT_HAND_MAX: usize = 16_384;
/// Role assignments at hand; that somebody has none is one, too.
const ASSIGNMENTS_AT_HAND_MAX: usize = 16_384;
/// The newest endings, which a stream is told by; one that is further behind ends itself to be safe.
const ENDINGS_MAX: usize = 256;

/// The directory. One a server.
pub(crate) struct Directory {
    documents: Documents,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    tenants: Cache<TenantId, Option<Arc<TenantRecord>>>,
    keys: Cache<String, Option<Arc<Known>>>,
    assignments: Cache<(TenantId, String), Option<Arc<Assignment>>>,
    news: Arc<News>,
    /// Changes of tenants, keys and assignments are rare; one at a time, nothing can be counted or
    /// named twice.
    changing: Mutex<()>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directory")
    }
}

impl Directory {
    /// Opens the directory; the tenant `default` is there from the first start.
    pub(crate) async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        epoch: Epoch,
    ) -> Result<Self, Error> {
        let directory = Self {
            documents: Documents::new(Arc::clone(&store), epoch),
            store,
            clock,
            entropy,
            tenants: Cache::new(TENANTS_AT_HAND_MAX),
            keys: Cache::new(KEYS_AT_HAND_MAX),
            assignments: Cache::new(ASSIGNMENTS_AT_HAND_MAX),
            news: Arc::new(News::new()),
            changing: Mutex::new(()),
        };
        directory.ensure_default().await?;
        Ok(directory)
    }

    /// The scope of what belongs to no tenant.
    fn platform() -> TenantScope {
        TenantScope::system(TenantId::platform(), "directory")
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "directory")
    }
}
