//! What a conversation with a model is made of.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const REDACTED: &str = "redacted_thinking";

/// Who says it. What the system says is apart, in [`super::ModelRequest::system`]; what tools answer
/// is said by the user's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatRole {
    User,
    Assistant,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatMessage {
    pub role: ChatRole,
    pub parts: Vec<Part>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    Text {
        text: String,
    },
    Image {
        #[serde(flatten)]
        image: Image,
    },
    /// The model asks for a tool.
    ToolCall {
        id: String,
        name: String,
        /// An object, as the tool's schema has it; a text where the model wrote what is no JSON.
        arguments: Value,
    },
    /// What a tool answered: text and images.
    ToolResult {
        id: String,
        parts: Vec<Part>,
        #[serde(default)]
        is_error: bool,
    },
    /// What the model thought. A provider may ask for it back, with its own signature, unchanged.
    Thinking {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// A part only one dialect knows, kept as it came for whoever speaks that dialect.
    Other {
        dialect: super::Dialect,
        value: Value,
    },
    /// Fields of the part before it that only one dialect has.
    Extra {
        dialect: super::Dialect,
        fields: Map<String, Value>,
    },
}

/// A picture, in the message or at an address that the provider fetches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Image {
    Data {
        media_type: String,
        /// Base64, standard alphabet, padded.
        data: String,
    },
    Url(String),
}

impl ChatMessage {
    pub fn user(text: impl Into<String>) -> Self {
        Self {
            role: ChatRole::User,
            parts: vec![Part::text(text)],
        }
    }

    pub fn assistant(text: impl Into<String>) -> Self {
        Self {
            role: ChatRole::Assistant,
            parts: vec![Part::text(text)],
        }
    }

    /// All text parts, one after the other.
    pub fn text(&self) -> String {
        text_of(&self.parts)
    }
}

impl Part {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// What the model thought and the provider does not show: Anthropic's `redacted_thinking`. It is
    /// given back unchanged, as thinking is.
    pub fn redacted_thinking(data: &str) -> Self {
        Self::Other {
            dialect: super::Dialect::Anthropic,
            value: serde_json::json!({"type": REDACTED, "data": data}),
        }
    }

    /// Its data, where it is [`Part::redacted_thinking`].
    pub fn redacted(&self) -> Option<&str> {
        match self {
            Self::Other {
                dialect: super::Dialect::Anthropic,
                value,
            } if value.get("type").is_some_and(|it| it == REDACTED) => value.get("data")?.as_str(),
            _ => None,
        }
    }

    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text { text } => text.len(),
            Self::Image {
                image: Image::Data { data, .. },
            } => data.len(),
            Self::Image {
                image: Image::Url(url),
            } => url.len(),
            Self::ToolCall {
                id,
                name,
                arguments,
            } => id.len() + name.len() + value_bytes(arguments),
            Self::ToolResult { id, parts, .. } => {
                id.len() + parts.iter().map(Self::bytes).sum::<usize>()
            }
            Self::Thinking { text, signature } => {
                text.len() + signature.as_ref().map_or(0, String::len)
            }
            Self::Other { value, .. } => value_bytes(value),
            Self::Extra { fields, .. } => map_bytes(fields),
        }
    }
}

/// All text parts, one after the other.
pub(super) fn text_of(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// About how many bytes a value has as JSON.
fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 4,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(value_bytes).sum::<usize>() + items.len() + 2,
        Value::Object(fields) => map_bytes(fields),
    }
}

fn map_bytes(fields: &Map<String, Value>) -> usize {
    let sizes = fields.iter().map(|(k, v)| k.len() + 4 + value_bytes(v));
    sizes.sum::<usize>() + 2
}
