//! Refusals, counted by the limit that refused.

use prometheus::{IntCounterVec, Opts, Registry};

/// Every kind: rates by whose they are, quotas by what they count.
const KINDS: [&str; 7] = [
    "rate_server",
    "rate_tenant",
    "rate_key",
    "rate_operation",
    "quota_messages",
    "quota_tokens",
    "quota_cost",
];

/// The counter. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Refusals(Option<IntCounterVec>);

impl Refusals {
    /// Registers the counter, every kind at zero.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let refusals = IntCounterVec::new(
            Opts::new(
                "caxton_limit_refusals_total",
                "Requests and reservations refused because a rate or quota was used up, by which",
            ),
            &["kind"],
        )?;
        for kind in KINDS {
            refusals.with_label_values(&[kind]);
        }
        registry.register(Box::new(refusals.clone()))?;
        Ok(Self(Some(refusals)))
    }

    /// Counts nothing.
    pub(crate) const fn uncounted() -> Self {
        Self(None)
    }

    /// `family` is `rate` or `quota`, `name` which of them.
    pub(crate) fn add(&self, family: &str, name: &str) {
        if let Some(refusals) = &self.0 {
            refusals
                .with_label_values(&[&format!("{family}_{name}")])
                .inc();
        }
    }
}
