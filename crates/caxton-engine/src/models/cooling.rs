//! Models that asked to be left alone for a while (`Retry-After`): until then no turn asks them. A breaker
//! opens for a whole provider that fails again and again; limits are a model's own, and hold from the first
//! time it names them.

use crate::breakers::Thing;
use caxton_core::model::ModelName;
use caxton_core::{TenantId, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;

/// Models that are left alone at a time. Past it, the next is asked again by each turn, as if it had not
/// said when.
const COOLING_MAX: usize = 4_096;
/// The longest that one is left alone.
const COOLING_FOR_MAX: Duration = Duration::from_secs(120);

/// A model of somebody's provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// `None`: the operator's, for all tenants.
    whose: Option<TenantId>,
    provider: String,
    model: String,
}

impl Place {
    pub(super) fn of(thing: &Thing, model: &ModelName) -> Self {
        Self {
            whose: thing.whose.clone(),
            provider: thing.name.clone(),
            model: model.model().to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    since: Timestamp,
    until: Timestamp,
}

impl Pause {
    /// A clock that was set back begins nothing anew.
    fn left(self, now: Timestamp) -> Option<Duration> {
        (self.since <= now && now < self.until).then(|| self.until.since(now))
    }
}

#[derive(Debug, Default)]
pub(super) struct Cooling(Mutex<HashMap<Place, Pause>>);

impl Cooling {
    /// How long the model wants to be left alone yet.
    pub(super) fn left(&self, place: &Place, now: Timestamp) -> Option<Duration> {
        let mut all = self.0.lock();
        let left = all.get(place)?.left(now);
        if left.is_none() {
            all.remove(place);
        }
        left
    }

    /// The model asked for it.
    pub(super) fn begin(&self, place: Place, pause: Duration, now: Timestamp) {
        let mut all = self.0.lock();
        if all.len() >= COOLING_MAX {
            all.retain(|_, pause| pause.left(now).is_some());
        }
        if all.len() < COOLING_MAX || all.contains_key(&place) {
            let until = now.plus(pause.min(COOLING_FOR_MAX));
            all.insert(place, Pause { since: now, until });
        }
    }

    /// Forgets what a provider's models said.
    pub(super) fn forget(&self, thing: &Thing) {
        let of_it = |it: &Place| it.whose == thing.whose && it.provider == thing.name;
        self.0.lock().retain(|place, _| !of_it(place));
    }

    pub(super) fn forget_tenant(&self, tenant: &TenantId) {
        let all = &mut self.0.lock();
        all.retain(|place, _| place.whose.as_ref() != Some(tenant));
    }
}
