//! Models: what is asked of one, what comes back, and how it can fail, in words that are no
//! provider's own. `caxton-llm` translates them to and from each provider's; the doors translate them
//! to and from what clients of those providers speak.

mod content;
mod event;
mod failover;
mod fault;
mod price;
mod reply;
mod request;

pub use content::{ChatMessage, ChatRole, Image, Part};
pub use event::{ModelEvent, StopReason, Tokens};
pub use failover::{Failover, FailoverOptions, Next};
pub use fault::{ModelFault, ModelFaultKind};
pub use price::Price;
pub use reply::{ModelReply, REPLY_BYTES_MAX, REPLY_PARTS_MAX};
pub use request::{
    AnswerForm, Dialect, Extra, ModelRequest, SystemMark, Thinking, ToolChoice, ToolSpec, tokens_of,
};

use crate::error::{Code, Error, shown};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;

/// Longest model name, in bytes: `provider/model`.
pub const MODEL_NAME_BYTES_MAX: usize = 256;
/// Longest provider name, in bytes.
pub const PROVIDER_NAME_BYTES_MAX: usize = 63;

/// A model: the provider's name, a slash, and what the provider calls it. `demo` stands alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName {
    text: SmolStr,
    /// Where the slash is, or the length.
    slash: usize,
}

impl ModelName {
    /// Reads `provider/model` or `provider`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let slash = text.find('/').unwrap_or(text.len());
        let provider = text.get(..slash).unwrap_or_default();
        let model = text.get(slash..).unwrap_or_default();
        let fits = text.len() <= MODEL_NAME_BYTES_MAX
            && is_provider_name(provider)
            && model != "/"
            && !text.chars().any(char::is_control);
        if fits {
            return Ok(Self {
                text: SmolStr::new(text),
                slash,
            });
        }
        Err(Error::new(
            Code::ModelNameMalformed,
            format!(
                "`{}` is not a model's name: write `provider/model`, or `demo`",
                shown(text)
            ),
        ))
    }

    /// The model that needs no key and no network, and is no LLM.
    pub fn demo() -> Self {
        let text = SmolStr::new_static("demo");
        let slash = text.len();
        Self { text, slash }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn provider(&self) -> &str {
        self.text.get(..self.slash).unwrap_or_default()
    }

    /// What the provider calls it; empty where the provider has one model.
    pub fn model(&self) -> &str {
        self.text.get(self.slash + 1..).unwrap_or_default()
    }
}

/// Whether a text may name a provider: a lower-case letter, then lower-case letters, digits, `-`.
pub fn is_provider_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= PROVIDER_NAME_BYTES_MAX
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text.as_str(), f)
    }
}

impl TryFrom<String> for ModelName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_provider_and_what_it_calls_the_model() {
        let check = |text: &str, provider: &str, model: &str| {
            let name = ModelName::parse(text).unwrap();
            assert_eq!((name.provider(), name.model()), (provider, model), "{text}");
            assert_eq!(name.as_str(), text);
        };
        check("demo", "demo", "");
        check("openai/gpt-5", "openai", "gpt-5");
        check("ollama/library/llama3:8b", "ollama", "library/llama3:8b");
        check("scripted/a b.json", "scripted", "a b.json");
        for text in ["", "/", "/x", "demo/", "Demo", "1x/y", "a\n/b"] {
            assert!(ModelName::parse(text).is_err(), "{text:?}");
        }
    }
}
