//! Circuit breakers of calls from outside: one per agent of a tenant, made when something goes wrong
//! and gone when all is well again.

use crate::metrics::Metrics;
use crate::port::Clock;
use caxton_core::breaker::{Breaker, Options, Outcome, Permit, State};
use caxton_core::error::{Code, Error};
use caxton_core::{AgentId, TenantId};
use parking_lot::Mutex;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};
use std::collections::HashMap;
use std::sync::Arc;

/// The breakers there are.
#[derive(Debug)]
pub(crate) struct Breakers {
    options: Options,
    clock: Arc<dyn Clock>,
    by_agent: Mutex<HashMap<AgentId, Breaker>>,
    changes: IntCounterVec,
    refused: IntCounter,
    open: IntGauge,
}

/// Leave to call an agent. Dropped without a word, it says nothing of the agent.
#[derive(Debug)]
pub(crate) struct Admitted {
    breakers: Arc<Breakers>,
    agent: AgentId,
    permit: Option<Permit>,
}

impl Breakers {
    pub(crate) fn new(
        options: Options,
        clock: Arc<dyn Clock>,
        metrics: &Metrics,
    ) -> Result<Self, prometheus::Error> {
        let changes = IntCounterVec::new(
            Opts::new(
                "caxton_breaker_changes_total",
                "Changes of agents' circuit breakers, by the state they changed to",
            ),
            &["state"],
        )?;
        let refused = IntCounter::new(
            "caxton_breaker_refused_total",
            "Calls from outside refused because the agent's circuit breaker is open",
        )?;
        let open = IntGauge::new(
            "caxton_breakers_open",
            "Agents whose circuit breaker is open or half-open",
        )?;
        for state in State::ALL {
            changes.with_label_values(&[state.as_str()]);
        }
        metrics.registry.register(Box::new(changes.clone()))?;
        metrics.registry.register(Box::new(refused.clone()))?;
        metrics.registry.register(Box::new(open.clone()))?;
        Ok(Self {
            options,
            clock,
            by_agent: Mutex::default(),
            changes,
            refused,
            open,
        })
    }

    /// Asks to call an agent that is there. Errors: `CX-3043`, with the time to wait.
    pub(crate) fn admit(self: &Arc<Self>, agent: &AgentId) -> Result<Admitted, Error> {
        let now = self.clock.now();
        let mut by_agent = self.by_agent.lock();
        let admitted = match by_agent.get_mut(agent) {
            None => {
                let mut breaker = Breaker::new(self.options);
                let admitted = breaker.admit(now);
                by_agent.insert(agent.clone(), breaker);
                admitted
            }
            Some(breaker) => {
                let before = breaker.state(now);
                let was_open = breaker.was_open();
                let admitted = breaker.admit(now);
                if admitted.is_ok() && was_open && before == State::HalfOpen {
                    self.told(agent, State::HalfOpen);
                }
                admitted
            }
        };
        drop(by_agent);
        let permit = admitted.map_err(|refused| {
            self.refused.inc();
            let detail = format!(
                "calls of {agent} failed again and again; it is tried again at {}",
                refused.retry_at
            );
            Error::new(Code::AgentUnavailable, detail).retry_after(refused.retry_at.since(now))
        })?;
        Ok(Admitted {
            breakers: Arc::clone(self),
            agent: agent.clone(),
            permit: Some(permit),
        })
    }

    /// Forgets a tenant's.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        let mut by_agent = self.by_agent.lock();
        by_agent.retain(|agent, _| agent.tenant != *tenant);
        self.count(&by_agent);
    }

    /// Forgets those that say nothing any more, and those of agents that are gone.
    pub(crate) fn sweep(&self, is_there: impl Fn(&AgentId) -> bool) {
        let now = self.clock.now();
        let mut by_agent = self.by_agent.lock();
        by_agent.retain(|agent, breaker| !breaker.is_idle(now) && is_there(agent));
        self.count(&by_agent);
    }

    fn record(&self, agent: &AgentId, permit: &Permit, outcome: Outcome) {
        let now = self.clock.now();
        let mut by_agent = self.by_agent.lock();
        let Some(breaker) = by_agent.get_mut(agent) else {
            return;
        };
        let changed = breaker.record(permit, now, outcome);
        if breaker.is_idle(now) {
            // It says what a new one would: so only those that are ill take room.
            by_agent.remove(agent);
        }
        if let Some(state) = changed {
            self.count(&by_agent);
            drop(by_agent);
            self.told(agent, state);
        }
    }

    fn count(&self, by_agent: &HashMap<AgentId, Breaker>) {
        let open = by_agent.values().filter(|it| it.was_open()).count();
        self.open.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    fn told(&self, agent: &AgentId, state: State) {
        self.changes.with_label_values(&[state.as_str()]).inc();
        tracing::warn!(%agent, state = state.as_str(), "the agent's circuit breaker changed");
    }
}

impl Admitted {
    /// Says what became of the call.
    pub(crate) fn record(mut self, outcome: Outcome) {
        if let Some(permit) = self.permit.take() {
            self.breakers.record(&self.agent, &permit, outcome);
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.breakers.record(&self.agent, &permit, Outcome::Untold);
        }
    }
}
