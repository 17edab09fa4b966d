//! [`Providers`]: which of the models a call is for.

use crate::facts::Table;
use crate::{demo, remote, scripted};
use caxton_core::error::Error;
use caxton_core::model::{Dialect, ModelFault};
use caxton_engine::port::model::{Model, ModelCall, ModelFacts, ModelStream, ProviderKind};
use caxton_engine::port::{Answer, Clock, Http};
use std::path::PathBuf;
use std::sync::Arc;

/// What the adapter is made of.
#[derive(Debug)]
pub struct Options {
    /// The way to the providers.
    pub http: Arc<dyn Http>,
    pub clock: Arc<dyn Clock>,
    /// The operator's folder of scripts; without it there are those only that deployments bring along.
    pub scripts_dir: Option<PathBuf>,
    /// What is known of models.
    pub table: Table,
}

/// All models of a server.
#[derive(Debug)]
pub struct Providers {
    remote: remote::Remote,
    scripted: scripted::Scripted,
    table: Arc<Table>,
}

impl Providers {
    pub fn new(options: Options) -> Self {
        let table = Arc::new(options.table);
        Self {
            remote: remote::Remote::new(
                options.http,
                Arc::clone(&options.clock),
                Arc::clone(&table),
            ),
            scripted: scripted::Scripted::new(options.clock, options.scripts_dir),
            table,
        }
    }
}

impl Model for Providers {
    fn stream(&self, call: ModelCall) -> Answer<'_, Result<ModelStream, ModelFault>> {
        match dialect(call.endpoint.kind) {
            Some(dialect) => Box::pin(self.remote.stream(dialect, call)),
            None if call.endpoint.kind == ProviderKind::Scripted => {
                Box::pin(self.scripted.stream(call))
            }
            None => Box::pin(std::future::ready(Ok(demo::stream(&call.request)))),
        }
    }

    fn facts(&self, kind: ProviderKind, model: &str) -> ModelFacts {
        self.table.facts(kind, model)
    }

    fn check_scripts(&self, bundle: &[u8]) -> Result<(), Error> {
        scripted::check_bundle(bundle)
    }
}

const fn dialect(kind: ProviderKind) -> Option<Dialect> {
    match kind {
        ProviderKind::Anthropic => Some(Dialect::Anthropic),
        ProviderKind::OpenaiChat => Some(Dialect::OpenaiChat),
        ProviderKind::OpenaiResponses => Some(Dialect::OpenaiResponses),
        ProviderKind::Scripted | ProviderKind::Demo => None,
    }
}
