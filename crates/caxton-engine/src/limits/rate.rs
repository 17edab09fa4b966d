//! Rates: one bucket for the server, one a tenant, one a key, one an operation of a tenant.

use super::refusals::Refusals;
use crate::documents::{Document, Documents};
use crate::opctx::TenantScope;
use crate::port::store::RecordKind;
use caxton_core::error::{Code, Error};
use caxton_core::grant::Subject;
use caxton_core::limit::{Asked, Buckets, Rate, RateState};
use caxton_core::{TenantId, Timestamp};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tenants whose settings are at hand.
const TENANTS_AT_HAND_MAX: usize = 4096;
/// Operations with a rate of their own.
const OPERATIONS_MAX: usize = 256;

/// Rates as set: of the server for all tenants, or of one tenant in their place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateSettings {
    /// All requests together; of the server alone.
    pub server: Option<Rate>,
    /// All requests of a tenant.
    pub tenant: Option<Rate>,
    /// All requests of one key or user.
    pub key: Option<Rate>,
    /// Requests of a tenant for one operation, by its full name.
    pub operations: BTreeMap<String, Rate>,
}

impl Document for RateSettings {
    const KIND: RecordKind = RecordKind("rates");
}

/// The rates of a server.
pub(crate) struct Rates {
    documents: Documents,
    refusals: Refusals,
    /// The server's own settings and the tenants', by tenant.
    settings: Cache<TenantId, Option<Arc<RateSettings>>>,
    buckets: Mutex<Buckets>,
}

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rates")
    }
}

impl Rates {
    pub(crate) fn new(documents: Documents, refusals: Refusals) -> Self {
        Self {
            documents,
            refusals,
            settings: Cache::new(TENANTS_AT_HAND_MAX),
            buckets: Mutex::default(),
        }
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "limits")
    }

    /// What is set for a tenant; for [`TenantId::platform`], what is set for all.
    pub(crate) async fn settings(
        &self,
        tenant: &TenantId,
    ) -> Result<Option<Arc<RateSettings>>, Error> {
        if let Some(found) = self.settings.get(tenant) {
            return Ok(found);
        }
        let read = async {
            let found: Option<RateSettings> = self.documents.get(&Self::scope(tenant), "").await?;
            Ok(found.map(Arc::new))
        };
        Box::pin(self.settings.get_or_insert_async(tenant, read)).await
    }

    /// Sets the rates of a tenant, or of all, from now on.
    pub(crate) async fn set(&self, tenant: &TenantId, settings: RateSettings) -> Result<(), Error> {
        if settings.operations.len() > OPERATIONS_MAX {
            let detail = format!("more than {OPERATIONS_MAX} operations have a rate");
            return Err(Error::new(Code::LimitMalformed, detail));
        }
        let scope = Self::scope(tenant);
        let kept = self.documents.put(&scope, "", &settings).await;
        self.settings.remove(tenant);
        kept?;
        self.settings
            .insert(tenant.clone(), Some(Arc::new(settings)));
        Ok(())
    }

    /// Takes one of all the limits that a request has, or of none of them. Answers where the tightest
    /// stands, if there is any; where one refuses, that one.
    pub(crate) async fn take(
        &self,
        tenant: &TenantId,
        who: &Subject,
        operation: &'static str,
        now: Timestamp,
    ) -> Result<Option<RateState>, Error> {
        let all = self.settings(&TenantId::platform()).await?;
        let own = self.settings(tenant).await?;
        let (all, own) = (all.as_deref(), own.as_deref());
        if all.is_none() && own.is_none() {
            return Ok(None);
        }
        let first = |pick: &dyn Fn(&RateSettings) -> Option<Rate>| {
            own.and_then(pick).or_else(|| all.and_then(pick))
        };
        let asked = Asked {
            tenant,
            who,
            operation,
            rates: [
                all.and_then(|it| it.server),
                first(&|it| it.tenant),
                first(&|it| it.key),
                first(&|it| it.operations.get(operation).copied()),
            ],
        };
        let state = self.buckets.lock().take(&asked, now);
        if let Some(refused) = state.filter(|it| !it.decision.allowed) {
            self.refusals.add("rate", refused.name);
        }
        Ok(state)
    }
}
