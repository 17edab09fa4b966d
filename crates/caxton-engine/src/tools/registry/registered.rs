//! A tool, ready to be called: what it offers, and whether somebody agreed to that.

use super::words::{FunctionState, FunctionView, Kept, ToolView};
use crate::port::tool::ToolTarget;
use crate::tools::policy::{ToolPolicy, host_of};
use crate::tools::schema::Schemas;
use arc_swap::ArcSwap;
use caxton_core::error::Error;
use caxton_core::tool::{Function, FunctionName, ToolKind};
use caxton_core::{Digest, Timestamp};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A function that may be called, with its schemas as they are first needed.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) function: Arc<Function>,
    pub(crate) state: FunctionState,
    schemas: OnceLock<Result<Arc<Schemas>, Error>>,
}

impl Offered {
    fn new(function: Function, state: FunctionState) -> Self {
        Self {
            function: Arc::new(function),
            state,
            schemas: OnceLock::new(),
        }
    }

    /// A function that needs nobody's agreement.
    pub(crate) fn agreed(function: Function) -> Self {
        Self::new(function, FunctionState::Agreed)
    }

    /// Errors: `CX-8002`.
    pub(crate) fn schemas(&self) -> Result<Arc<Schemas>, Error> {
        let made = self
            .schemas
            .get_or_init(|| Schemas::of(&self.function).map(Arc::new));
        made.clone()
    }
}

/// What a tool said last of itself.
#[derive(Debug)]
struct Offer {
    at: Timestamp,
    functions: Vec<Arc<Offered>>,
}

/// A tool, ready to be called.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) target: Arc<ToolTarget>,
    pub(crate) kind: ToolKind,
    pub(crate) price_micros: u64,
    description: String,
    kept: Option<Kept>,
    /// Why its secret cannot be opened: it is there to be seen and given another, and cannot be called.
    pub(super) locked: Option<Error>,
    /// What was agreed to; of an operator's tool, what it said first.
    agreed: OnceLock<BTreeMap<FunctionName, Digest>>,
    offer: ArcSwap<Offer>,
    /// When it could not say what it offers, and why.
    pub(super) failed: Mutex<Option<(Timestamp, Error)>>,
    pub(super) asking: tokio::sync::Mutex<()>,
}

impl Registered {
    pub(super) fn new(
        target: ToolTarget,
        kind: ToolKind,
        description: String,
        kept: Option<Kept>,
    ) -> Self {
        let agreed = OnceLock::new();
        let mut offer = Offer {
            at: Timestamp::EPOCH,
            functions: Vec::new(),
        };
        if let Some(kept) = &kept {
            let _ = agreed.set(fingerprints(&kept.agreed));
            let functions = kept.agreed.iter().cloned();
            let functions = functions.map(|it| Arc::new(Offered::new(it, FunctionState::Agreed)));
            offer.functions = functions.collect();
        }
        Self {
            target: Arc::new(target),
            kind,
            price_micros: kept.as_ref().map_or(0, |kept| kept.price_micros),
            description,
            kept,
            locked: None,
            agreed,
            offer: ArcSwap::from_pointee(offer),
            failed: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// The functions as they were last described.
    pub(crate) fn known(&self) -> Vec<Arc<Offered>> {
        self.offer.load().functions.clone()
    }

    /// When it last said what it offers.
    pub(super) fn told_at(&self) -> Timestamp {
        self.offer.load().at
    }

    /// What its server says may change while it runs.
    pub(super) fn may_change(&self) -> bool {
        self.kind == ToolKind::Mcp
    }

    pub(super) fn take(&self, described: Vec<Function>, now: Timestamp) {
        let agreed = self.agreed.get_or_init(|| fingerprints(&described));
        let state = |function: &Function| match agreed.get(&function.name) {
            Some(digest) if *digest == function.fingerprint() => FunctionState::Agreed,
            Some(_) => FunctionState::Changed,
            None => FunctionState::New,
        };
        let before = self.known();
        let functions = described.into_iter().map(|function| {
            let state = state(&function);
            let same = |it: &&Arc<Offered>| *it.function == function && it.state == state;
            match before.iter().find(same) {
                Some(known) => Arc::clone(known),
                None => Arc::new(Offered::new(function, state)),
            }
        });
        let functions = functions.collect();
        self.offer.store(Arc::new(Offer { at: now, functions }));
    }

    /// Where its calls go, where that is known.
    fn host(&self) -> Option<String> {
        self.target.definition.as_ref().and_then(host_of)
    }

    /// Why no call of it can be made now: the tenant lets tools reach other hosts alone, or its secret
    /// cannot be opened.
    pub(crate) fn unreached(&self, policy: &ToolPolicy) -> Option<String> {
        if let Some(locked) = &self.locked {
            return Some(format!("{} {}", locked.code, locked.detail));
        }
        policy.unreached(self.target.definition.as_ref()?)
    }

    pub(super) fn view(&self, policy: &ToolPolicy) -> ToolView {
        let known = self.known();
        let mut functions: Vec<FunctionView> = known
            .iter()
            .map(|it| FunctionView {
                function: (*it.function).clone(),
                state: it.state,
            })
            .collect();
        let agreed = self.kept.iter().flat_map(|kept| &kept.agreed);
        for gone in agreed.filter(|it| known.iter().all(|now| now.function.name != it.name)) {
            functions.push(FunctionView {
                function: gone.clone(),
                state: FunctionState::Gone,
            });
        }
        let sealed = self.kept.as_ref().and_then(|kept| kept.sealed.as_ref());
        ToolView {
            name: self.target.name.clone(),
            description: self.description.clone(),
            kind: self.kind,
            functions,
            hosts: self.host().into_iter().collect(),
            unreached: self.unreached(policy),
            definition: self.target.definition.clone(),
            has_secret: sealed.is_some() || self.target.secret.is_some(),
            operators: self.kept.is_none(),
            price_micros: self.price_micros,
            created: self.kept.as_ref().map(|kept| kept.created),
            updated: self.kept.as_ref().map(|kept| kept.updated),
        }
    }
}

fn fingerprints(functions: &[Function]) -> BTreeMap<FunctionName, Digest> {
    let each = functions
        .iter()
        .map(|it| (it.name.clone(), it.fingerprint()));
    each.collect()
}
