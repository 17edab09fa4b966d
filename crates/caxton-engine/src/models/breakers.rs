//! A breaker for each provider and whoever's secret opens it: the tenant's own, or the operator's.

use super::Meters;
use crate::port::model::Endpoint;
use caxton_core::breaker::{self, Breaker, Outcome, Override, Permit, State};
use caxton_core::error::{Code, Error};
use caxton_core::model::ModelFault;
use caxton_core::{TenantId, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;

/// Breakers in memory; past it, those that have nothing to tell are forgotten.
const BREAKERS_MAX: usize = 16_384;

/// Of whose provider: `None` is the operator's.
type Place = (Option<TenantId>, String);

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerView {
    pub state: State,
    pub failures: u32,
    pub retry_at: Option<Timestamp>,
    pub overridden: Override,
}

#[derive(Debug)]
pub(crate) struct Breakers {
    options: breaker::Options,
    all: Mutex<HashMap<Place, Breaker>>,
    meters: Meters,
}

fn place(tenant: &TenantId, endpoint: &Endpoint) -> Place {
    let whose = (!endpoint.trusted).then(|| tenant.clone());
    (whose, endpoint.provider.clone())
}

impl Breakers {
    pub(super) fn new(options: breaker::Options, meters: Meters) -> Self {
        Self {
            options,
            all: Mutex::default(),
            meters,
        }
    }

    /// Leave to ask once. Errors: `CX-7012` with the time to wait.
    pub(super) fn admit(
        &self,
        tenant: &TenantId,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<Permit, Error> {
        let mut all = self.all.lock();
        if all.len() >= BREAKERS_MAX {
            all.retain(|_, breaker| !breaker.is_idle(now));
        }
        let breaker = all
            .entry(place(tenant, endpoint))
            .or_insert_with(|| Breaker::new(self.options));
        breaker.admit(now).map_err(|refused| {
            let wait = refused.retry_at.since(now).max(Duration::from_millis(1));
            let detail = format!(
                "provider {} failed several times in a row",
                endpoint.provider
            );
            Error::new(Code::BreakerOpen, detail).retry_after(wait)
        })
    }

    /// What became of it. A fault that tells nothing of the provider's health counts as none.
    pub(super) fn record(
        &self,
        tenant: &TenantId,
        endpoint: &Endpoint,
        permit: &Permit,
        now: Timestamp,
        outcome: Result<(), Option<&ModelFault>>,
    ) {
        let outcome = match outcome {
            Ok(()) => Outcome::Succeeded,
            Err(Some(fault)) if fault.kind.is_providers() => Outcome::Failed {
                retry_after: fault.retry_after,
            },
            Err(_) => Outcome::Untold,
        };
        let mut all = self.all.lock();
        let Some(breaker) = all.get_mut(&place(tenant, endpoint)) else {
            return;
        };
        if let Some(state) = breaker.record(permit, now, outcome) {
            let whose = if endpoint.trusted {
                "operator"
            } else {
                "tenant"
            };
            tracing::warn!(%tenant, provider = %endpoint.provider, whose, state = state.as_str(), "breaker of a provider changed");
            for state in State::ALL {
                let count = all.values().filter(|it| it.state(now) == state).count();
                let gauge = self.meters.breakers.with_label_values(&[state.as_str()]);
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }

    pub(crate) fn view(
        &self,
        tenant: &TenantId,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> BreakerView {
        let all = self.all.lock();
        match all.get(&place(tenant, endpoint)) {
            Some(breaker) => BreakerView {
                state: breaker.state(now),
                failures: breaker.failures(),
                retry_at: breaker.retry_at(now),
                overridden: breaker.overridden(),
            },
            None => BreakerView {
                state: State::Closed,
                failures: 0,
                retry_at: None,
                overridden: Override::None,
            },
        }
    }

    /// A person's word. `None` also forgets what was counted, so that the provider is asked again.
    pub(crate) fn set_override(&self, tenant: &TenantId, endpoint: &Endpoint, word: Override) {
        let mut all = self.all.lock();
        let breaker = all
            .entry(place(tenant, endpoint))
            .or_insert_with(|| Breaker::new(self.options));
        if word == Override::None {
            *breaker = Breaker::new(self.options);
        }
        breaker.set_override(word);
    }

    pub(super) fn forget(&self, tenant: &TenantId) {
        let whose = Some(tenant.clone());
        self.all.lock().retain(|(of, _), _| *of != whose);
    }
}
