//! Models. The adapter translates one call for one provider and back; which provider is asked, how
//! often, for how long and at whose cost is the engine's to say (`models/`).

use super::Answer;
use super::secrets::Secret;
use bytes::Bytes;
use caxton_core::error::Error;
use caxton_core::model::{ModelEvent, ModelFault, ModelFaultKind, ModelRequest, Price};
use caxton_core::{TenantId, TraceContext};
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// An answer as it is written. It ends after [`ModelEvent::Finished`] or a fault; one that ends
/// without either was cut off. Dropped, the provider is told to stop where it can be. Nothing comes
/// after `Finished`; who polls on until the end, for a moment only, leaves the provider a connection
/// that is used again.
pub type ModelStream = BoxStream<'static, Result<ModelEvent, ModelFault>>;

/// Asks models.
pub trait Model: Send + Sync + fmt::Debug {
    /// Sends one call. The answer may begin before or after this returns; a fault here is one before
    /// the first piece. Never waits longer than its caller: timeouts are the engine's.
    fn stream(&self, call: ModelCall) -> Answer<'_, Result<ModelStream, ModelFault>>;

    /// What is known of a model.
    fn facts(&self, kind: ProviderKind, model: &str) -> ModelFacts;

    /// Whether the scripts that a deployment brings along can be read, so that what is malformed is
    /// refused then and not in a turn.
    ///
    /// # Errors
    /// `CX-7013`, naming the place.
    fn check_scripts(&self, _bundle: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

/// How a provider is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// Anthropic Messages.
    Anthropic,
    /// `OpenAI` Chat Completions: `OpenAI` itself, and everything compatible (Ollama, vLLM, …).
    OpenaiChat,
    /// `OpenAI` Responses.
    OpenaiResponses,
    /// Answers from a file; for tests.
    Scripted,
    /// Answers by plain rules; needs nothing.
    Demo,
}

impl ProviderKind {
    pub const ALL: [Self; 5] = [
        Self::Anthropic,
        Self::OpenaiChat,
        Self::OpenaiResponses,
        Self::Scripted,
        Self::Demo,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenaiChat => "openai-chat",
            Self::OpenaiResponses => "openai-responses",
            Self::Scripted => "scripted",
            Self::Demo => "demo",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether it is reached over the network.
    pub const fn is_remote(self) -> bool {
        !matches!(self, Self::Scripted | Self::Demo)
    }
}

/// Where a provider is and what opens it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// As the tenant or operator calls it.
    pub provider: String,
    pub kind: ProviderKind,
    /// Without a slash at its end; paths of the provider's API come after it.
    pub base_url: String,
    pub secret: Option<Secret>,
    /// The server's operator named it, not a tenant.
    pub trusted: bool,
}

/// One call of one model.
#[derive(Clone, Debug)]
pub struct ModelCall {
    pub tenant: TenantId,
    pub endpoint: Arc<Endpoint>,
    /// As the provider calls it.
    pub model: String,
    pub request: Arc<ModelRequest>,
    /// The same for each try of one call; given to providers that know idempotency keys.
    pub key: String,
    /// 1 for the first try.
    pub attempt: u32,
    /// What an assistant's deployment brought along: scripts of `scripted` models.
    pub scripts: Option<Bytes>,
    pub trace: TraceContext,
}

/// What is known of a model without asking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// Tokens in and out together.
    pub context_tokens_max: u32,
    pub output_tokens_max: u32,
    /// Absent: nobody said what it costs, and it is counted as nothing.
    pub price: Option<Price>,
}

/// What is assumed of a model that nobody knows.
impl Default for ModelFacts {
    fn default() -> Self {
        Self {
            context_tokens_max: 128_000,
            output_tokens_max: 16_384,
            price: None,
        }
    }
}

/// Where no models are: in servers of wasm agents alone.
#[derive(Debug)]
pub struct NoModel;

impl Model for NoModel {
    fn stream(&self, _call: ModelCall) -> Answer<'_, Result<ModelStream, ModelFault>> {
        let fault = ModelFault::new(ModelFaultKind::Internal, "this server has no models");
        Box::pin(std::future::ready(Err(fault)))
    }

    fn facts(&self, _kind: ProviderKind, _model: &str) -> ModelFacts {
        ModelFacts::default()
    }
}
