//! What is asked of a model.

use super::ChatMessage;
use crate::error::{Code, Error};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A wire format that requests and answers are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// Anthropic Messages.
    Anthropic,
    /// `OpenAI` Chat Completions, as many others speak it.
    OpenaiChat,
    /// `OpenAI` Responses.
    OpenaiResponses,
}

/// How much a model may think before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Thinking {
    #[default]
    Off,
    Minimal,
    Low,
    Medium,
    High,
}

impl Thinking {
    pub const ALL: [Self; 5] = [
        Self::Off,
        Self::Minimal,
        Self::Low,
        Self::Medium,
        Self::High,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|level| level.as_str() == text);
        found.ok_or_else(|| {
            Error::new(
                Code::ParameterMalformed,
                "`thinking` is one of off, minimal, low, medium, high",
            )
        })
    }

    /// Tokens the model may think with, where the provider counts them.
    pub const fn budget_tokens(self) -> u32 {
        match self {
            Self::Off => 0,
            Self::Minimal => 1_024,
            Self::Low => 4_096,
            Self::Medium => 8_192,
            Self::High => 24_576,
        }
    }
}

/// A tool, as a model is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    pub name: String,
    #[serde(default)]
    pub description: String,
    /// JSON Schema of the arguments: an object.
    pub schema: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Extra>,
}

impl ToolSpec {
    /// A tool whose arguments are as this schema has them.
    pub fn new(name: impl Into<String>, description: impl Into<String>, schema: Value) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            schema,
            extra: None,
        }
    }
}

/// Fields that only one dialect has: given to a provider that speaks it, to no other.
pub type Extra = (Dialect, Map<String, Value>);

/// Such fields of a piece of what the system says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SystemMark {
    /// Where the piece ends, in bytes of the whole.
    pub end: usize,
    pub extra: Extra,
}

/// Whether the model must call tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolChoice {
    #[default]
    Auto,
    None,
    Required,
    Named(String),
}

/// The form that an answer is to have: JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswerForm {
    /// Absent: any object.
    pub schema: Option<Value>,
    /// What it is called, where the client says.
    pub name: Option<String>,
    pub description: Option<String>,
    /// Whether the provider holds the answer to it; absent: as the provider has it.
    pub strict: Option<bool>,
}

/// One call of a model, in no provider's own words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelRequest {
    pub system: String,
    pub messages: Vec<ChatMessage>,
    #[serde(default)]
    pub tools: Vec<ToolSpec>,
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// Whether one answer may call several tools; absent: as the provider has it.
    #[serde(default)]
    pub parallel_calls: Option<bool>,
    /// Tokens the answer may have, thinking included: what is reserved for it.
    pub output_tokens_max: u32,
    /// Absent: as the provider has it where nothing is said.
    #[serde(default)]
    pub thinking: Option<Thinking>,
    #[serde(default)]
    pub temperature: Option<f64>,
    #[serde(default)]
    pub top_p: Option<f64>,
    #[serde(default)]
    pub stop: Vec<String>,
    #[serde(default)]
    pub extra: Option<Extra>,
    #[serde(default)]
    pub form: Option<AnswerForm>,
    /// In the order of their ends.
    #[serde(default)]
    pub system_marks: Vec<SystemMark>,
    /// More is to be asked that begins with the same: worth a place in the provider's cache.
    #[serde(default)]
    pub goes_on: bool,
}

impl ModelRequest {
    pub fn new(messages: Vec<ChatMessage>, output_tokens_max: u32) -> Self {
        Self {
            system: String::new(),
            messages,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_calls: None,
            output_tokens_max,
            thinking: None,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            extra: None,
            form: None,
            system_marks: Vec::new(),
            goes_on: false,
        }
    }

    /// The most tokens this can be: one has a byte or more. A picture counts as four large ones, and
    /// there is room for what providers add around it.
    pub fn tokens_most(&self) -> u64 {
        const AROUND: u64 = 1_024;
        self.tokens_estimate().saturating_mul(4) + AROUND
    }

    /// The most tokens this is likely to be: one of any usual text, code or script has two bytes or
    /// more.
    pub fn tokens_likely(&self) -> u64 {
        const AROUND: u64 = 64;
        self.tokens_estimate().saturating_mul(2) + AROUND
    }

    /// An estimate of the tokens this is: a quarter of its bytes, a picture as the providers count a
    /// large one.
    pub fn tokens_estimate(&self) -> u64 {
        let tools = self.tools.iter().map(|tool| {
            let schema = serde_json::to_string(&tool.schema).map_or(0, |text| text.len());
            tool.name.len() + tool.description.len() + schema
        });
        let form = self.form.as_ref().and_then(|it| it.schema.as_ref());
        let form = form.map_or(0, |schema| schema.to_string().len());
        let bytes = self.system.len() + tools.sum::<usize>() + form;
        let messages: u64 = self.messages.iter().map(ChatMessage::tokens_estimate).sum();
        tokens_of(bytes) + messages
    }
}

/// Tokens that a message costs besides its content.
const MESSAGE_TOKENS: u64 = 4;
/// What a large picture counts as.
const IMAGE_TOKENS: u64 = 1_600;

/// An estimate of the tokens in so many bytes of text.
pub fn tokens_of(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4)
}

impl ChatMessage {
    /// An estimate of the tokens this is.
    pub fn tokens_estimate(&self) -> u64 {
        self.parts.iter().map(part_tokens).sum::<u64>() + MESSAGE_TOKENS
    }
}

fn part_tokens(part: &super::Part) -> u64 {
    match part {
        super::Part::Image { .. } => IMAGE_TOKENS,
        super::Part::ToolResult { parts, .. } => parts.iter().map(part_tokens).sum(),
        part => tokens_of(part.bytes()),
    }
}
