//! Rates: one bucket for the server, one a tenant, one a key, one an operation of a tenant.

use super::refusals::Refusals;
use crate::documents::{Document, Documents};
use crate::opctx::TenantScope;
use crate::port::store::RecordKind;
use caxton_core::error::{Code, Error};
use caxton_core::limit::{Bucket, Decision, Rate};
use caxton_core::{TenantId, Timestamp};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

/// Buckets in use at one time. Past it those that are full again are forgotten, and if there is none,
/// all are: each is then as new, which gives a burst too many and never shuts anybody out.
const BUCKETS_MAX: usize = 65_536;
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

/// Which bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Of {
    Server,
    Tenant(TenantId),
    Key(TenantId, String),
    Operation(TenantId, &'static str),
}

/// Where the tightest of a request's limits stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateState {
    /// `server`, `tenant`, `key` or `operation`.
    pub name: &'static str,
    pub rate: Rate,
    pub decision: Decision,
}

impl RateState {
    /// Why the request is refused, if it is: `CX-4030`, with the time to wait.
    pub fn refusal(&self) -> Option<Error> {
        (!self.decision.allowed).then(|| {
            let detail = format!(
                "the {}'s limit of {} in {} s is used up until it refills",
                self.name, self.rate.count, self.rate.seconds
            );
            Error::new(Code::RateLimited, detail).retry_after(self.decision.wait)
        })
    }
}

/// The rates of a server.
pub(crate) struct Rates {
    documents: Documents,
    refusals: Refusals,
    /// The server's own settings and the tenants', by tenant.
    settings: Cache<TenantId, Option<Arc<RateSettings>>>,
    buckets: Mutex<HashMap<Of, Bucket, foldhash::fast::RandomState>>,
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
        who: &str,
        operation: &'static str,
        now: Timestamp,
    ) -> Result<Option<RateState>, Error> {
        let all = self.settings(&TenantId::platform()).await?;
        let own = self.settings(tenant).await?;
        if all.is_none() && own.is_none() {
            return Ok(None);
        }
        let first = |pick: &dyn Fn(&RateSettings) -> Option<Rate>| {
            let own = own.as_deref().and_then(pick);
            own.or_else(|| all.as_deref().and_then(pick))
        };
        let wanted = [
            (
                "server",
                Of::Server,
                all.as_deref().and_then(|it| it.server),
            ),
            ("tenant", Of::Tenant(tenant.clone()), first(&|it| it.tenant)),
            (
                "key",
                Of::Key(tenant.clone(), who.to_owned()),
                first(&|it| it.key),
            ),
            (
                "operation",
                Of::Operation(tenant.clone(), operation),
                first(&|it| it.operations.get(operation).copied()),
            ),
        ];
        let limits = wanted
            .into_iter()
            .filter_map(|(name, of, rate)| Some((name, of, rate?)));
        Ok(self.take_all(limits.collect(), now))
    }

    fn take_all(&self, limits: Vec<(&'static str, Of, Rate)>, now: Timestamp) -> Option<RateState> {
        let mut buckets = self.buckets.lock();
        let mut tightest: Option<RateState> = None;
        for (name, of, rate) in &limits {
            let decision = match buckets.get_mut(of) {
                Some(bucket) => {
                    bucket.settle(*rate, now);
                    bucket.look(*rate, now)
                }
                None => Bucket::default().look(*rate, now),
            };
            let state = RateState {
                name,
                rate: *rate,
                decision,
            };
            if !decision.allowed {
                self.refusals.add("rate", name);
                return Some(state);
            }
            let left = |it: &RateState| it.decision.remaining.saturating_mul(1000) / it.rate.burst;
            if tightest.as_ref().is_none_or(|it| left(&state) < left(it)) {
                tightest = Some(state);
            }
        }
        for (_, of, rate) in limits {
            if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&of) {
                buckets.retain(|_, bucket| !bucket.is_idle(now));
                if buckets.len() >= BUCKETS_MAX {
                    buckets.clear();
                }
            }
            buckets.entry(of).or_default().take(rate, now);
        }
        tightest
    }
}
