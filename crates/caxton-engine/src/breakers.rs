//! Circuit breakers of what can be ill: agents that are called from outside, providers of models, and
//! tools that are reached over a network or run as programs. Each thing of a tenant has its own, which
//! is there while it has something to tell and gone when all is well again.

use crate::port::Clock;
use crate::port::model::Endpoint;
use caxton_core::breaker::{Breaker, Options, Outcome, Override, Permit, State};
use caxton_core::tool::ToolName;
use caxton_core::{AgentId, AgentName, TenantId, Timestamp};
use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Things of one kind and tenant that may be ill at a time; of further ones nothing is remembered.
const ILL_MAX: usize = 1_024;

/// Whoever waits for less says nothing of a thing by giving up.
pub(crate) const TELLING_WAIT: Duration = Duration::from_secs(1);

/// Kinds of things that have breakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// An agent, as those see it who call from outside.
    Agent,
    /// A provider of models, and whoever's secret opens it.
    Provider,
    /// A tool behind an address or in a program of its own.
    Tool,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Agent, Self::Provider, Self::Tool];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Provider => "provider",
            Self::Tool => "tool",
        }
    }
}

/// A thing that may be ill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) kind: Kind,
    /// `None`: the operator's, for all tenants.
    pub(crate) whose: Option<TenantId>,
    pub(crate) name: String,
}

impl Thing {
    pub(crate) fn of_agent(agent: &AgentId) -> Self {
        Self {
            kind: Kind::Agent,
            whose: Some(agent.tenant.clone()),
            name: agent.name.to_string(),
        }
    }

    pub(crate) fn of_provider(tenant: &TenantId, endpoint: &Endpoint) -> Self {
        // What runs in this process does what a tenant's own script says: nobody shares that.
        let is_shared = endpoint.trusted && endpoint.kind.is_remote();
        Self {
            kind: Kind::Provider,
            whose: (!is_shared).then(|| tenant.clone()),
            name: endpoint.provider.clone(),
        }
    }

    /// A script is a part of its provider that says nothing of the others, nor of one of the same name
    /// that another agent brought along.
    pub(crate) fn of_script(
        tenant: &TenantId,
        endpoint: &Endpoint,
        brought_by: Option<&AgentName>,
        file: &str,
    ) -> Self {
        let whole = Self::of_provider(tenant, endpoint);
        let agent = brought_by
            .map(|agent| format!("{agent}/"))
            .unwrap_or_default();
        Self {
            name: format!("{}/{agent}{file}", whole.name),
            ..whole
        }
    }

    /// What this is a part of: names of wholes have no slash.
    fn whole(&self) -> Option<Self> {
        let (whole, _) = self.name.split_once('/')?;
        Some(Self {
            name: whole.to_owned(),
            ..self.clone()
        })
    }

    /// One that the tenant has set itself.
    pub(crate) fn of_own_provider(tenant: &TenantId, name: &str) -> Self {
        Self {
            kind: Kind::Provider,
            whose: Some(tenant.clone()),
            name: name.to_owned(),
        }
    }

    /// The operator's tools have one for each tenant: what one does with them says nothing to others.
    pub(crate) fn of_tool(tenant: &TenantId, name: &ToolName) -> Self {
        Self {
            kind: Kind::Tool,
            whose: Some(tenant.clone()),
            name: name.to_string(),
        }
    }
}

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerView {
    pub state: State,
    /// In a row, while closed.
    pub failures: u32,
    pub retry_at: Option<Timestamp>,
    pub overridden: Override,
}

impl BreakerView {
    fn of(breaker: &Breaker, now: Timestamp) -> Self {
        Self {
            state: breaker.state(now),
            failures: breaker.failures(),
            retry_at: breaker.retry_at(now),
            overridden: breaker.overridden(),
        }
    }
}

/// It is left alone now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeftAlone {
    pub(crate) retry_at: Timestamp,
    /// Until then; never nothing.
    pub(crate) wait: Duration,
}

/// Leave to ask a thing once. Dropped without a word, it says nothing of the thing.
#[derive(Debug)]
pub(crate) struct Admitted {
    breakers: Arc<Breakers>,
    thing: Thing,
    permit: Option<Permit>,
}

type Ill = HashMap<(Kind, Option<TenantId>), HashMap<String, Breaker>>;

/// All breakers of a server.
#[derive(Debug)]
pub(crate) struct Breakers {
    options: Options,
    clock: Arc<dyn Clock>,
    ill: Mutex<Ill>,
    changes: IntCounterVec,
    refused: IntCounterVec,
    open: IntGaugeVec,
}

impl Breakers {
    pub(crate) fn new(
        options: Options,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let changes = IntCounterVec::new(
            Opts::new(
                "caxton_breaker_changes_total",
                "Changes of circuit breakers, by what they are of and the state they changed to",
            ),
            &["of", "state"],
        )?;
        let refused = IntCounterVec::new(
            Opts::new(
                "caxton_breaker_refused_total",
                "Calls refused because a circuit breaker is open, by what it is of",
            ),
            &["of"],
        )?;
        let open = IntGaugeVec::new(
            Opts::new(
                "caxton_breakers_open",
                "Circuit breakers that are open or half-open, by what they are of",
            ),
            &["of"],
        )?;
        for kind in Kind::ALL {
            let of = kind.as_str();
            refused.with_label_values(&[of]);
            open.with_label_values(&[of]);
            for state in State::ALL {
                changes.with_label_values(&[of, state.as_str()]);
            }
        }
        registry.register(Box::new(changes.clone()))?;
        registry.register(Box::new(refused.clone()))?;
        registry.register(Box::new(open.clone()))?;
        Ok(Self {
            options,
            clock,
            ill: Mutex::default(),
            changes,
            refused,
            open,
        })
    }

    /// Asks to ask a thing.
    pub(crate) fn admit(self: &Arc<Self>, thing: Thing) -> Result<Admitted, LeftAlone> {
        let now = self.clock.now();
        // A person's word on the whole is one on each part.
        let said = |whole: &Thing| self.view_one(whole, now).overridden != Override::None;
        let thing = thing.whole().filter(said).unwrap_or(thing);
        let admitted = self.with(&thing, false, now, |breaker| {
            let was_tried = breaker.is_tried();
            let admitted = breaker.admit(now);
            let is_new = !was_tried && breaker.is_tried();
            (admitted, is_new.then_some(State::HalfOpen))
        });
        // Of what is well there is no breaker.
        let admitted = admitted.unwrap_or_else(|| Breaker::new(self.options).admit(now));
        match admitted {
            Ok(permit) => Ok(Admitted {
                breakers: Arc::clone(self),
                thing,
                permit: Some(permit),
            }),
            Err(refused) => {
                let of = thing.kind.as_str();
                self.refused.with_label_values(&[of]).inc();
                let retry_at = refused.retry_at;
                let wait = retry_at.since(now).max(Duration::from_millis(1));
                Err(LeftAlone { retry_at, wait })
            }
        }
    }

    /// How a thing stands; of one with parts, the part that is worst off.
    pub(crate) fn view(&self, thing: &Thing) -> BreakerView {
        let now = self.clock.now();
        let own = self.view_one(thing, now);
        if own.overridden != Override::None {
            return own;
        }
        let parts = self.parts(thing).into_iter();
        let views = parts.map(|part| self.view_one(&part, now));
        let ill = |it: &BreakerView| (it.state != State::Closed, it.retry_at, it.failures);
        views.chain([own]).max_by_key(ill).unwrap_or(own)
    }

    fn view_one(&self, thing: &Thing, now: Timestamp) -> BreakerView {
        let found = self.with(thing, false, now, |breaker| {
            (BreakerView::of(breaker, now), None)
        });
        found.unwrap_or_else(|| BreakerView::of(&Breaker::new(self.options), now))
    }

    /// The parts of a thing that have something to tell.
    fn parts(&self, thing: &Thing) -> Vec<Thing> {
        let ill = self.ill.lock();
        let things = ill.get(&(thing.kind, thing.whose.clone()));
        let named = things.into_iter().flat_map(HashMap::keys).cloned();
        let all = named.map(|name| Thing {
            name,
            ..thing.clone()
        });
        all.filter(|it| it.whole().is_some_and(|whole| whole == *thing))
            .collect()
    }

    /// A person's word. `None` also forgets what was counted, so that the thing is asked again.
    pub(crate) fn set_override(&self, thing: &Thing, word: Override) {
        let now = self.clock.now();
        for part in self.parts(thing) {
            self.forget_thing(&part);
        }
        self.with(thing, true, now, |breaker| {
            breaker.set_override(word);
            ((), None)
        });
    }

    /// Forgets a tenant's.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        let now = self.clock.now();
        let mut ill = self.ill.lock();
        for kind in Kind::ALL {
            let gone = ill.remove(&(kind, Some(tenant.clone())));
            for breaker in gone.unwrap_or_default().values() {
                self.count(kind, is_open(breaker, now), false);
            }
        }
    }

    /// Forgets one thing's: it is gone, or another now.
    pub(crate) fn forget_thing(&self, thing: &Thing) {
        let now = self.clock.now();
        for part in self.parts(thing) {
            self.forget_thing(&part);
        }
        self.with(thing, false, now, |breaker| {
            *breaker = Breaker::new(self.options);
            ((), None)
        });
    }

    /// Works on a thing's breaker, if it has one or is to get one; afterwards one that says what a new
    /// one would is gone. `None`: it has none.
    fn with<T>(
        &self,
        thing: &Thing,
        make: bool,
        now: Timestamp,
        work: impl FnOnce(&mut Breaker) -> (T, Option<State>),
    ) -> Option<T> {
        let mut ill = self.ill.lock();
        let key = (thing.kind, thing.whose.clone());
        let things = match make {
            true => ill.entry(key.clone()).or_default(),
            false => ill.get_mut(&key)?,
        };
        if make && !things.contains_key(&thing.name) {
            if things.len() >= ILL_MAX {
                things.retain(|_, breaker| !breaker.is_idle(now));
            }
            if things.len() >= ILL_MAX {
                return None;
            }
            things.insert(thing.name.clone(), Breaker::new(self.options));
        }
        let breaker = things.get_mut(&thing.name)?;
        let was_open = is_open(breaker, now);
        let (found, changed) = work(breaker);
        self.count(thing.kind, was_open, is_open(breaker, now));
        let until = breaker.retry_at(now);
        if breaker.is_idle(now) {
            things.remove(&thing.name);
            if things.is_empty() {
                ill.remove(&key);
            }
        }
        drop(ill);
        if let Some(state) = changed {
            self.told(thing, state, until);
        }
        Some(found)
    }

    fn record(&self, thing: &Thing, permit: &Permit, outcome: Outcome) {
        let now = self.clock.now();
        let is_failure = matches!(outcome, Outcome::Failed { .. });
        self.with(thing, is_failure, now, |breaker| {
            ((), breaker.record(permit, now, outcome))
        });
    }

    fn count(&self, kind: Kind, was_open: bool, is_open: bool) {
        let gauge = self.open.with_label_values(&[kind.as_str()]);
        match (was_open, is_open) {
            (false, true) => gauge.inc(),
            (true, false) => gauge.dec(),
            _ => {}
        }
    }

    fn told(&self, thing: &Thing, state: State, until: Option<Timestamp>) {
        let of = thing.kind.as_str();
        self.changes.with_label_values(&[of, state.as_str()]).inc();
        let whose = thing
            .whose
            .as_ref()
            .map_or("the operator", TenantId::as_str);
        let (name, state) = (&thing.name, state.as_str());
        match until {
            Some(until) => {
                tracing::warn!(of, name, whose, state, %until, "circuit breaker changed");
            }
            None => tracing::warn!(of, name, whose, state, "circuit breaker changed"),
        }
    }
}

/// Open or half-open, by itself or a person's word.
fn is_open(breaker: &Breaker, now: Timestamp) -> bool {
    breaker.state(now) != State::Closed
}

impl Admitted {
    /// Says what became of it.
    pub(crate) fn record(mut self, outcome: Outcome) {
        if let Some(permit) = self.permit.take() {
            self.breakers.record(&self.thing, &permit, outcome);
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.breakers.record(&self.thing, &permit, Outcome::Untold);
        }
    }
}
