//! Metrics of the agents' own, bounded per agent, shown beside the server's.

use caxton_core::AgentId;
use caxton_core::quota::{GUEST_METRICS_MAX, GUEST_NAME_BYTES_MAX};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

/// A metric's present value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GuestMetric {
    Counter(u64),
    Gauge(f64),
}

/// All agents' own metrics.
#[derive(Debug, Default)]
pub struct GuestMetrics {
    agents: Mutex<HashMap<AgentId, BTreeMap<String, GuestMetric>>>,
    dropped: AtomicU64,
}

impl GuestMetrics {
    pub fn count(&self, agent: &AgentId, name: &str, by: u64) {
        self.update(agent, name, |old| match old {
            Some(GuestMetric::Counter(value)) => {
                Some(GuestMetric::Counter(value.saturating_add(by)))
            }
            Some(GuestMetric::Gauge(_)) => None,
            None => Some(GuestMetric::Counter(by)),
        });
    }

    pub fn gauge(&self, agent: &AgentId, name: &str, value: f64) {
        self.update(agent, name, |old| match old {
            Some(GuestMetric::Counter(_)) => None,
            Some(GuestMetric::Gauge(_)) | None => Some(GuestMetric::Gauge(value)),
        });
    }

    /// Updates that were refused: a bad name, one metric too many, or the other kind.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub fn snapshot(&self) -> Vec<(AgentId, String, GuestMetric)> {
        let agents = self.agents.lock();
        agents
            .iter()
            .flat_map(|(agent, metrics)| {
                metrics
                    .iter()
                    .map(|(name, value)| (agent.clone(), name.clone(), *value))
            })
            .collect()
    }

    pub fn forget(&self, agent: &AgentId) {
        self.agents.lock().remove(agent);
    }

    fn update(
        &self,
        agent: &AgentId,
        name: &str,
        change: impl FnOnce(Option<GuestMetric>) -> Option<GuestMetric>,
    ) {
        let mut agents = self.agents.lock();
        let known = agents.get(agent).map_or(0, BTreeMap::len);
        let old = agents
            .get(agent)
            .and_then(|metrics| metrics.get(name))
            .copied();
        let new = change(old);
        match new.filter(|_| is_name(name) && (old.is_some() || known < GUEST_METRICS_MAX)) {
            Some(new) => {
                agents
                    .entry(agent.clone())
                    .or_default()
                    .insert(name.to_owned(), new);
            }
            None => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= GUEST_NAME_BYTES_MAX
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use caxton_core::TenantId;

    #[test]
    fn bounded_named_and_of_one_kind() {
        let metrics = GuestMetrics::default();
        let agent = AgentId::parse("a", &TenantId::default_tenant()).unwrap();
        metrics.count(&agent, "seen", 2);
        metrics.count(&agent, "seen", 3);
        metrics.gauge(&agent, "seen", 1.0);
        metrics.gauge(&agent, "Bad name", 1.0);
        assert_eq!(
            metrics.snapshot(),
            vec![(agent.clone(), "seen".into(), GuestMetric::Counter(5))]
        );
        assert_eq!(metrics.dropped(), 2);
        for n in 0..100 {
            metrics.count(&agent, &format!("m{n}"), 1);
        }
        assert_eq!(metrics.snapshot().len(), GUEST_METRICS_MAX);
    }
}
