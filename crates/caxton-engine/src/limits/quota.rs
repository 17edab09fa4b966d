//! Quotas: how much a tenant, or one of its keys, may use in a period. What is about to be used is
//! reserved before and settled after, both under one lock, so that any number of requests at the last
//! unit never use more than there is.
//!
//! Counts are in memory and written down every second and at a stop: what a kill loses is a second of
//! counting, and never a message.

mod limit;

pub(crate) use limit::Unit;
pub use limit::{Overage, Period, Quota, QuotaLimit, Usage, Used};

use super::refusals::Refusals;
use crate::documents::{self, Documents};
use crate::opctx::TenantScope;
use caxton_core::error::{Code, Error};
use caxton_core::limit::RateState;
use caxton_core::limit::{Decision, Rate};
use caxton_core::{TenantId, Timestamp};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Quotas at hand, of tenants and keys.
const QUOTAS_AT_HAND_MAX: usize = 16_384;
/// Counts in memory. Past it those that are written down and reserve nothing are forgotten, to be
/// read again when they are needed.
const COUNTS_MAX: usize = 65_536;
/// When to ask again for what only calls on their way have reserved: one of them may have ended.
const CALLS_END: Duration = Duration::from_secs(1);

/// Whose count: a tenant's, or one of its keys'.
type Holder = (TenantId, String);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    usage: Usage,
    /// Reserved and not settled, by unit.
    reserved: [u64; 3],
    /// It is not as it is written down.
    dirty: bool,
    /// It is being written down.
    writing: bool,
}

impl Count {
    fn add(&mut self, unit: Unit, used: u64) {
        let of = self.usage.used(unit);
        of.day = of.day.saturating_add(used);
        of.month = of.month.saturating_add(used);
        self.dirty |= used > 0;
    }

    /// Whether it can be read again as it is.
    fn is_kept(&self) -> bool {
        !self.dirty && !self.writing && self.reserved.iter().all(|amount| *amount == 0)
    }
}

type Counts = HashMap<Holder, Count>;

/// What was reserved. Dropped without being settled it is given back.
#[derive(Debug)]
pub(crate) struct Reservation {
    quotas: Option<Arc<Inner>>,
    holders: Vec<Holder>,
    unit: Unit,
    amount: u64,
}

impl Reservation {
    /// How much it is.
    pub(crate) const fn amount(&self) -> u64 {
        self.amount
    }

    /// Says what was used in the end, which may be more or less than was reserved.
    pub(crate) fn settle(mut self, used: u64) {
        if let Some(quotas) = self.quotas.take() {
            quotas.settle(&self.holders, self.unit, self.amount, used);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(quotas) = self.quotas.take() {
            quotas.settle(&self.holders, self.unit, self.amount, 0);
        }
    }
}

/// A reservation that counts as used when this is dropped, unless it is given back.
pub(crate) struct Counted(Option<Reservation>);

impl Counted {
    pub(crate) fn of(reservation: Reservation) -> Self {
        Self(Some(reservation))
    }

    pub(crate) fn give_back(mut self) {
        self.0 = None;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(reservation) = self.0.take() {
            let amount = reservation.amount();
            reservation.settle(amount);
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    counts: Mutex<Counts>,
}

impl Inner {
    fn settle(&self, holders: &[Holder], unit: Unit, reserved: u64, used: u64) {
        let mut counts = self.counts.lock();
        for holder in holders {
            let Some(count) = counts.get_mut(holder) else {
                continue;
            };
            if let Some(left) = count.reserved.get_mut(unit as usize) {
                *left = left.saturating_sub(reserved);
            }
            count.add(unit, used);
        }
    }
}

/// The quotas of a server.
pub(crate) struct Quotas {
    documents: Documents,
    refusals: Refusals,
    at_hand: Cache<Holder, Option<Arc<Quota>>>,
    inner: Arc<Inner>,
    /// Held from where a count is looked for to where it is at hand: none is let go meanwhile, so that
    /// what is read is what it is.
    loading: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Quotas")
    }
}

impl Quotas {
    pub(crate) fn new(documents: Documents) -> Self {
        Self::counted(documents, Refusals::uncounted())
    }

    /// The same; refusals are counted.
    pub(crate) fn counted(documents: Documents, refusals: Refusals) -> Self {
        Self {
            documents,
            refusals,
            at_hand: Cache::new(QUOTAS_AT_HAND_MAX),
            inner: Arc::default(),
            loading: tokio::sync::Mutex::default(),
        }
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "quotas")
    }

    /// What is set for a tenant, or for one of its keys.
    pub(crate) async fn quota(&self, tenant: &TenantId, key: &str) -> Result<Arc<Quota>, Error> {
        let holder = (tenant.clone(), key.to_owned());
        if let Some(found) = self.at_hand.get(&holder) {
            return Ok(found.unwrap_or_default());
        }
        let read = async {
            let found: Option<Quota> = self.documents.get(&Self::scope(tenant), key).await?;
            Ok::<_, Error>(found.map(Arc::new))
        };
        let found = Box::pin(self.at_hand.get_or_insert_async(&holder, read)).await?;
        Ok(found.unwrap_or_default())
    }

    pub(crate) async fn set(
        &self,
        tenant: &TenantId,
        key: &str,
        quota: Quota,
    ) -> Result<(), Error> {
        let kept = self.documents.put(&Self::scope(tenant), key, &quota).await;
        let holder = (tenant.clone(), key.to_owned());
        self.at_hand.remove(&holder);
        kept?;
        self.at_hand.insert(holder, Some(Arc::new(quota)));
        Ok(())
    }

    /// What a tenant or key has used up to now.
    pub(crate) async fn usage(
        &self,
        tenant: &TenantId,
        key: &str,
        now: Timestamp,
    ) -> Result<Usage, Error> {
        let holder = (tenant.clone(), key.to_owned());
        self.counted_by(std::slice::from_ref(&holder), |counts| {
            let count = counts.entry(holder.clone()).or_default();
            count.usage.turn(now);
            count.usage
        })
        .await
    }

    /// Reserves an amount for a tenant and, where it has one, its key. Errors: `CX-4031` with the time
    /// until the next period; nothing is reserved then.
    pub(crate) async fn reserve(
        &self,
        tenant: &TenantId,
        key: Option<&str>,
        unit: Unit,
        amount: u64,
        now: Timestamp,
    ) -> Result<Reservation, Error> {
        self.reserve_up_to(tenant, key, unit, amount, amount, now)
            .await
    }

    /// Counts what was used without being reserved: what an earlier run left unsettled.
    pub(crate) async fn count(
        &self,
        tenant: &TenantId,
        key: Option<&str>,
        unit: Unit,
        amount: u64,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut holders: Vec<Holder> = vec![(tenant.clone(), String::new())];
        holders.extend(key.map(|key| (tenant.clone(), key.to_owned())));
        self.counted_by(&holders, |counts| {
            for holder in &holders {
                let count = counts.entry(holder.clone()).or_default();
                count.usage.turn(now);
                count.add(unit, amount);
            }
        })
        .await
    }

    /// Reserves as much as there is, from `least` to `most`.
    pub(crate) async fn reserve_up_to(
        &self,
        tenant: &TenantId,
        key: Option<&str>,
        unit: Unit,
        least: u64,
        most: u64,
        now: Timestamp,
    ) -> Result<Reservation, Error> {
        let mut holders: Vec<Holder> = vec![(tenant.clone(), String::new())];
        holders.extend(key.map(|key| (tenant.clone(), key.to_owned())));
        let mut limits = Vec::with_capacity(holders.len());
        for (tenant, key) in &holders {
            limits.push(unit.of(&*self.quota(tenant, key).await?));
        }
        let reserve = |counts: &mut Counts| {
            let mut amount = most.max(least);
            for (holder, limit) in holders.iter().zip(&limits) {
                let count = counts.entry(holder.clone()).or_default();
                count.usage.turn(now);
                if let Some(limit) = limit.filter(|it| it.overage == Overage::Refuse) {
                    let used = *count.usage.used(unit);
                    let used = match limit.period {
                        Period::Day => used.day,
                        Period::Month => used.month,
                    };
                    let reserved = count.reserved.get(unit as usize).copied().unwrap_or(0);
                    let unused = limit.limit.saturating_sub(used);
                    let left = unused.saturating_sub(reserved);
                    if least > left {
                        let error = exceeded(holder, unit, limit, (least, left));
                        // What calls on their way hold comes back, in part, when they end.
                        let wait = match least <= unused {
                            true => CALLS_END,
                            false => limit.period.around(now).1.since(now),
                        };
                        return Err(error.retry_after(wait.max(CALLS_END)));
                    }
                    amount = amount.min(left);
                }
            }
            for holder in &holders {
                let count = counts.entry(holder.clone()).or_default();
                if let Some(reserved) = count.reserved.get_mut(unit as usize) {
                    *reserved = reserved.saturating_add(amount);
                }
            }
            Ok(amount)
        };
        let reserved = self.counted_by(&holders, reserve).await?;
        let amount = reserved.inspect_err(|_| self.refusals.add("quota", unit.name()))?;
        Ok(Reservation {
            quotas: Some(Arc::clone(&self.inner)),
            holders,
            unit,
            amount,
        })
    }

    /// Where the limit stands that leaves a tenant, or its key, the smallest part of what it allows.
    pub(crate) async fn tightest(
        &self,
        tenant: &TenantId,
        key: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<RateState>, Error> {
        let mut found: Option<RateState> = None;
        for key in std::iter::once("").chain(key) {
            let quota = self.quota(tenant, key).await?;
            let mut usage = self.usage(tenant, key, now).await?;
            let holder = (tenant.clone(), key.to_owned());
            let reserved = self.inner.counts.lock().get(&holder).map(|it| it.reserved);
            let reserved = reserved.unwrap_or_default();
            for unit in Unit::ALL {
                let Some(limit) = unit.of(&quota).filter(|it| it.overage == Overage::Refuse) else {
                    continue;
                };
                let used = usage.used(unit);
                let used = match limit.period {
                    Period::Day => used.day,
                    Period::Month => used.month,
                };
                let reserved = reserved.get(unit as usize).copied().unwrap_or(0);
                let used = used.saturating_add(reserved);
                let (begin, end) = limit.period.around(now);
                let state = RateState {
                    name: unit.name(),
                    rate: Rate {
                        count: limit.limit,
                        seconds: end.since(begin).as_secs(),
                        burst: limit.limit,
                    },
                    decision: Decision {
                        allowed: used < limit.limit,
                        remaining: limit.limit.saturating_sub(used),
                        wait: end.since(now),
                        warned: false,
                        slow: Duration::ZERO,
                    },
                };
                let part = |it: &RateState| {
                    let (left, all) = (it.decision.remaining, it.rate.count.max(1));
                    u128::from(left) * 1_000_000 / u128::from(all)
                };
                if found
                    .as_ref()
                    .is_none_or(|other| part(&state) < part(other))
                {
                    found = Some(state);
                }
            }
        }
        Ok(found)
    }

    /// Does something with counts that are all at hand: those that are not are read before.
    async fn counted_by<T>(
        &self,
        holders: &[Holder],
        work: impl FnOnce(&mut Counts) -> T,
    ) -> Result<T, Error> {
        {
            let mut counts = self.inner.counts.lock();
            if holders.iter().all(|holder| counts.contains_key(holder)) {
                return Ok(work(&mut counts));
            }
        }
        let _loading = self.loading.lock().await;
        let mut found = Vec::with_capacity(holders.len());
        for holder in holders {
            if self.inner.counts.lock().contains_key(holder) {
                continue;
            }
            let (tenant, key) = holder;
            let usage: Option<Usage> = self.documents.get(&Self::scope(tenant), key).await?;
            found.push((holder, usage.unwrap_or_default()));
        }
        let mut counts = self.inner.counts.lock();
        if counts.len() + found.len() > COUNTS_MAX {
            counts.retain(|holder, it| !it.is_kept() || holders.contains(holder));
        }
        for (holder, usage) in found {
            counts.entry(holder.clone()).or_insert(Count {
                usage,
                ..Count::default()
            });
        }
        Ok(work(&mut counts))
    }

    /// Writes down what has changed. What cannot be written now is written the next time.
    pub(crate) async fn flush(&self) {
        let changed: HashMap<TenantId, Vec<(String, Usage)>> = {
            let mut counts = self.inner.counts.lock();
            let mut changed: HashMap<TenantId, Vec<(String, Usage)>> = HashMap::new();
            for ((tenant, key), count) in counts.iter_mut().filter(|(_, it)| it.dirty) {
                (count.dirty, count.writing) = (false, true);
                let rows = changed.entry(tenant.clone()).or_default();
                rows.push((key.clone(), count.usage));
            }
            changed
        };
        for (tenant, rows) in changed {
            let ops = rows.iter().map(|(key, usage)| documents::put(key, usage));
            let wrote = match ops.collect::<Result<Vec<_>, Error>>() {
                Ok(ops) => self.documents.commit(&Self::scope(&tenant), ops).await,
                Err(error) => Err(error),
            };
            if let Err(error) = &wrote {
                tracing::warn!(%tenant, %error, "usage was not written down");
            }
            let mut counts = self.inner.counts.lock();
            for (key, _) in rows {
                if let Some(count) = counts.get_mut(&(tenant.clone(), key)) {
                    count.writing = false;
                    count.dirty |= wrote.is_err();
                }
            }
        }
    }

    /// Forgets a tenant that goes.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        self.inner.counts.lock().retain(|(of, _), _| of != tenant);
    }
}

fn exceeded(holder: &Holder, unit: Unit, limit: QuotaLimit, (wanted, left): (u64, u64)) -> Error {
    let (tenant, key) = holder;
    let whose = match key.as_str() {
        "" => format!("tenant {tenant}"),
        key => format!("{key} of tenant {tenant}"),
    };
    let (limited, unit, period) = (limit.limit, unit.name(), limit.period.as_str());
    let detail = match left {
        0 => format!("{whose} has used its {limited} {unit} of this {period}"),
        _ => format!(
            "{whose} has {left} left of its {limited} {unit} of this {period}, and {wanted} are wanted"
        ),
    };
    Error::new(Code::QuotaExceeded, detail)
}

#[cfg(test)]
mod tests;
