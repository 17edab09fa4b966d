//! What a model's answer comes as.

use serde::{Deserialize, Serialize};

/// Tokens that a call took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// What went in, that from and into a cache included.
    pub input: u64,
    /// What came out, thinking included.
    pub output: u64,
    /// Of `input`, read from the provider's cache.
    pub cache_read: u64,
    /// Of `input`, written into the provider's cache.
    pub cache_write: u64,
    /// Of `output`, thinking.
    pub thinking: u64,
    /// The provider said nothing, or not all of it, and this was reckoned here.
    pub estimated: bool,
}

impl Tokens {
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// The sum of two calls.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            thinking: self.thinking.saturating_add(other.thinking),
            estimated: self.estimated || other.estimated,
        }
    }
}

/// Why a model stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It had said all.
    End,
    /// It wants tools called.
    ToolCalls,
    /// `output_tokens_max` was reached.
    MaxTokens,
    /// It wrote one of `stop`.
    StopSequence,
    /// It declines, or a filter of the provider's did.
    Refusal,
    Other(String),
}

/// A piece of an answer that is being written.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelEvent {
    /// First, where the provider tells.
    Started {
        id: String,
        model: String,
    },
    Text(String),
    Thinking(String),
    /// The provider's signature under the thinking before it.
    ThinkingSigned(String),
    /// A tool call begins; `index` tells calls apart, they may be interleaved.
    ToolCall {
        index: u32,
        id: String,
        name: String,
    },
    /// More of a call's arguments: a piece of JSON text.
    ToolArguments {
        index: u32,
        json: String,
    },
    /// A part that only the provider's dialect knows.
    Other(super::Part),
    /// What is known of usage now; a later one replaces it.
    Usage(Tokens),
    /// Last. A stream that ends without it was cut off.
    Finished(StopReason),
}

impl ModelEvent {
    /// Whether a reader sees something of the answer in it.
    pub const fn is_visible(&self) -> bool {
        matches!(
            self,
            Self::Text(_) | Self::Thinking(_) | Self::ToolCall { .. } | Self::Other(_)
        )
    }

    /// Bytes of answer in it.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) | Self::Thinking(text) | Self::ThinkingSigned(text) => text.len(),
            Self::ToolCall { id, name, .. } => id.len() + name.len(),
            Self::ToolArguments { json, .. } => json.len(),
            Self::Other(part) => part.bytes(),
            Self::Started { .. } | Self::Usage(_) | Self::Finished(_) => 0,
        }
    }
}
