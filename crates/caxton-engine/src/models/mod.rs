//! Asking models: which provider, at whose cost, how often, and what is written of it.
//!
//! A call reserves tokens and money before and settles after; stands in the ledger from before its
//! first word to its end, whatever ends it; fails over while nothing of an answer was seen, and says
//! so honestly afterwards. Providers' wire formats are the adapter's ([`crate::port::model`]).

mod call;
mod cooling;
mod directory;
mod ledger;
mod meters;
mod prepare;
mod straight;

pub use call::{Ceiling, Completed, Completion, NotCompleted};
pub use directory::{Provider, ProviderView};
pub use ledger::{CallOutcome, ModelCallRecord};
pub use meters::Meters;

pub(crate) use call::Caller;
pub(crate) use directory::Kept as KeptProvider;
pub(crate) use ledger::{CallId, Ledger};

use crate::breakers::{Breakers, Thing};
use crate::documents::Documents;
use crate::limits::Quotas;
use crate::port::model::{Endpoint, ModelFacts};
use crate::port::{Clock, Entropy, Model, Secrets};
use crate::task::Tasks;
use caxton_core::TenantId;
use caxton_core::breaker::Override;
use caxton_core::error::Error;
use caxton_core::model::{FailoverOptions, ModelName};
use cooling::Cooling;
use directory::Directory;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Bounds of asking.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// Providers of the server's operator, for all tenants.
    pub providers: Vec<Endpoint>,
    /// From sending a call to the first word of its answer.
    pub first_word_timeout: Duration,
    /// From one piece of an answer to the next.
    pub silence_timeout: Duration,
    pub failover: FailoverOptions,
    /// Model calls on their way at a time, all tenants together.
    pub calls_max: usize,
}

impl Default for ModelOptions {
    fn default() -> Self {
        Self {
            providers: Vec::new(),
            first_word_timeout: Duration::from_secs(120),
            silence_timeout: Duration::from_secs(60),
            failover: FailoverOptions::default(),
            calls_max: 10_000,
        }
    }
}

/// The models of a server.
pub(crate) struct Models {
    pub(crate) directory: Directory,
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) ledger: Ledger,
    pub(crate) meters: Meters,
    cooling: Cooling,
    model: Arc<dyn Model>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    quotas: Arc<Quotas>,
    options: ModelOptions,
    places: Arc<tokio::sync::Semaphore>,
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Models")
    }
}

/// What [`Models`] is built from.
pub(crate) struct Parts {
    pub(crate) model: Arc<dyn Model>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) documents: Documents,
    pub(crate) tasks: Tasks,
    pub(crate) meters: Meters,
    pub(crate) breakers: Arc<Breakers>,
    pub(crate) options: ModelOptions,
}

impl Models {
    pub(crate) fn new(parts: Parts) -> Self {
        let places = parts
            .options
            .calls_max
            .min(tokio::sync::Semaphore::MAX_PERMITS);
        Self {
            directory: Directory::new(
                parts.documents.clone(),
                parts.secrets,
                &parts.options.providers,
            ),
            breakers: parts.breakers,
            ledger: Ledger::new(
                parts.documents,
                Arc::clone(&parts.clock),
                parts.tasks,
                parts.meters.clone(),
            ),
            meters: parts.meters,
            cooling: Cooling::default(),
            model: parts.model,
            clock: parts.clock,
            entropy: parts.entropy,
            quotas: parts.quotas,
            options: parts.options,
            places: Arc::new(tokio::sync::Semaphore::new(places)),
        }
    }

    /// What is known of a model that a tenant names.
    pub(crate) async fn facts(
        &self,
        tenant: &TenantId,
        name: &ModelName,
    ) -> Result<ModelFacts, Error> {
        let endpoint = self.directory.endpoint(tenant, name.provider()).await?;
        Ok(self.model.facts(endpoint.kind, name.model()))
    }

    /// A tenant's provider is another one now: it is asked whatever it said before.
    pub(crate) fn forget_provider(&self, tenant: &TenantId, name: &str) {
        let thing = Thing::of_own_provider(tenant, name);
        self.breakers.forget_thing(&thing);
        self.cooling.forget(&thing);
    }

    /// A person's word over whether a provider is asked.
    pub(crate) fn set_override(&self, thing: &Thing, word: Override) {
        self.breakers.set_override(thing, word);
        self.cooling.forget(thing);
    }

    /// Forgets a tenant that goes.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        self.cooling.forget_tenant(tenant);
        self.directory.forget(tenant);
        self.ledger.forget(tenant);
    }
}
