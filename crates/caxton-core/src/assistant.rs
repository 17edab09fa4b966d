//! `[assistant]` of `agent.toml`: the model, the prompt and the bounds of an assistant.

use crate::agent::AgentName;
use crate::error::{Code, Error};
use crate::model::{ModelName, Thinking};
use serde::{Deserialize, Serialize};

/// Longest prompt, in bytes.
pub const PROMPT_BYTES_MAX: usize = 128 << 10;
/// Most fallbacks of one assistant.
pub const FALLBACKS_MAX: usize = 8;
/// Most assistants that one may hand over to.
pub const HANDOVERS_MAX: usize = 32;

/// `[assistant]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assistant {
    #[serde(default = "ModelName::demo")]
    pub model: ModelName,
    /// Models asked in turn where the first cannot answer.
    #[serde(default)]
    pub fallbacks: Vec<ModelName>,
    #[serde(default)]
    pub prompt: String,
    /// How much the model thinks, where a session does not say otherwise.
    #[serde(default)]
    pub thinking: Thinking,
    /// Thousandths; absent: as the provider has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_permille: Option<u32>,
    /// Assistants and agents that this one may hand a conversation over to.
    #[serde(default)]
    pub handover: Vec<AgentName>,
    /// Tokens of one answer of the model; what its level of thinking gives it comes beside that.
    #[serde(default = "output_tokens_max")]
    pub output_tokens_max: u32,
    /// Tokens of history, prompt and answer together; 0: as the model has it.
    #[serde(default)]
    pub context_tokens_max: u32,
    /// Model calls of one turn.
    #[serde(default = "steps_max")]
    pub steps_max: u32,
    /// Tokens of one turn, in and out, over all its model calls; 0: no ceiling of its own.
    #[serde(default)]
    pub turn_tokens_max: u64,
    /// Millionths of the unit of money that one turn may cost; 0: no ceiling of its own.
    #[serde(default)]
    pub turn_cost_micros_max: u64,
    /// Milliseconds that one turn may take.
    #[serde(default = "turn_timeout_ms_max")]
    pub turn_timeout_ms_max: u64,
}

const fn output_tokens_max() -> u32 {
    4_096
}

const fn steps_max() -> u32 {
    16
}

const fn turn_timeout_ms_max() -> u64 {
    300_000
}

impl Default for Assistant {
    fn default() -> Self {
        Self {
            model: ModelName::demo(),
            fallbacks: Vec::new(),
            prompt: String::new(),
            thinking: Thinking::Off,
            temperature_permille: None,
            handover: Vec::new(),
            output_tokens_max: output_tokens_max(),
            context_tokens_max: 0,
            steps_max: steps_max(),
            turn_tokens_max: 0,
            turn_cost_micros_max: 0,
            turn_timeout_ms_max: turn_timeout_ms_max(),
        }
    }
}

impl Assistant {
    /// The model and its fallbacks, in the order in which they are asked.
    pub fn models(&self) -> impl Iterator<Item = &ModelName> {
        std::iter::once(&self.model).chain(&self.fallbacks)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let bounds = [
            (
                "output_tokens_max",
                u64::from(self.output_tokens_max),
                1,
                1_000_000,
            ),
            (
                "context_tokens_max",
                u64::from(self.context_tokens_max),
                0,
                10_000_000,
            ),
            ("steps_max", u64::from(self.steps_max), 1, 1_000),
            (
                "turn_timeout_ms_max",
                self.turn_timeout_ms_max,
                100,
                3_600_000,
            ),
            (
                "temperature_permille",
                u64::from(self.temperature_permille.unwrap_or(0)),
                0,
                2_000,
            ),
            (
                "prompt (bytes)",
                self.prompt.len() as u64,
                0,
                PROMPT_BYTES_MAX as u64,
            ),
            (
                "fallbacks",
                self.fallbacks.len() as u64,
                0,
                FALLBACKS_MAX as u64,
            ),
            (
                "handover",
                self.handover.len() as u64,
                0,
                HANDOVERS_MAX as u64,
            ),
        ];
        for (name, value, min, max) in bounds {
            if !(min..=max).contains(&value) {
                return Err(Error::new(
                    Code::ManifestMalformed,
                    format!("assistant.{name} = {value} is out of bounds: {min} to {max}"),
                ));
            }
        }
        Ok(())
    }
}
