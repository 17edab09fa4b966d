//! A session is a conversation between a user and an assistant; a turn is one message of the user's
//! and all that it causes. A turn's id is that of the message that began it.

use crate::error::{Code, Error, shown};
use crate::id::{ConversationId, MessageId};
use crate::model::{ModelName, Part, StopReason, Tokens};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::SmolStr;
use std::fmt;

/// Longest session id, in bytes.
pub const SESSION_ID_BYTES_MAX: usize = 128;

/// A session's id, unique in its tenant: `[A-Za-z0-9][A-Za-z0-9._:-]{0,127}`. Clients may choose it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(SmolStr);

impl SessionId {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut bytes = text.bytes();
        let fits = text.len() <= SESSION_ID_BYTES_MAX
            && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
            && bytes.all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b));
        if fits {
            return Ok(Self(SmolStr::new(text)));
        }
        Err(Error::new(
            Code::IdMalformed,
            format!(
                "`{}` is not a session id: a letter or digit, then up to 127 letters, digits, `.`, `_`, `:`, `-`",
                shown(text)
            ),
        ))
    }

    /// The id of a session that nobody named.
    pub fn of(id: MessageId) -> Self {
        Self(SmolStr::new(format!("s-{id}")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The conversation that the session's messages are of.
    pub fn conversation(&self) -> Result<ConversationId, Error> {
        ConversationId::parse(&self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}

impl TryFrom<String> for SessionId {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0.into()
    }
}

/// A turn's id.
pub type TurnId = MessageId;

/// What happens in a turn, as whoever follows it is told. Exactly one of `Completed` and `Failed`
/// comes, last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TurnEvent {
    Started {
        session: SessionId,
        agent: String,
    },
    /// More of the answer's text.
    Text {
        text: String,
    },
    /// More of what the model thinks.
    Thinking {
        text: String,
    },
    /// The model calls a tool.
    ToolCall {
        id: String,
        name: String,
        arguments: Value,
    },
    ToolResult {
        id: String,
        name: String,
        parts: Vec<Part>,
        is_error: bool,
    },
    /// A person must allow a call.
    ApprovalRequired {
        approval: String,
        id: String,
        name: String,
        arguments: Value,
    },
    /// Another assistant goes on with the conversation.
    HandedOver {
        from: String,
        to: String,
    },
    /// Something that whoever follows may want to know: a fallback answers, old messages were summed up.
    Notice {
        text: String,
    },
    Completed(Box<TurnOutcome>),
    Failed(TurnFailure),
}

impl TurnEvent {
    /// Whether no other follows.
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Completed(_) | Self::Failed(_))
    }

    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        const FRAME: usize = 64;
        FRAME
            + match self {
                Self::Text { text } | Self::Thinking { text } | Self::Notice { text } => text.len(),
                Self::ToolCall { arguments, .. } | Self::ApprovalRequired { arguments, .. } => {
                    arguments.to_string().len()
                }
                Self::ToolResult { parts, .. } => parts.iter().map(Part::bytes).sum(),
                Self::Completed(outcome) => outcome.parts.iter().map(Part::bytes).sum(),
                Self::Started { .. } | Self::HandedOver { .. } | Self::Failed(_) => FRAME,
            }
    }
}

/// What a turn came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnOutcome {
    /// The answer: text, and calls of tools that the client itself declared.
    pub parts: Vec<Part>,
    /// Who answered.
    pub agent: String,
    /// The model that answered.
    pub model: ModelName,
    pub stop: StopReason,
    /// Of all model calls of the turn.
    pub usage: Tokens,
    pub cost_micros: u64,
    /// Model calls made.
    pub calls: u32,
}

/// How a turn failed. What was said until then stands, and is in the session's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnFailure {
    /// `CX-####`.
    pub code: String,
    pub detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    pub usage: Tokens,
    pub cost_micros: u64,
    pub calls: u32,
}

impl TurnFailure {
    /// The failure as an error.
    pub fn error(&self) -> Error {
        let code = Code::parse(&self.code).unwrap_or(Code::Internal);
        let error = Error::new(code, self.detail.clone());
        match self.retry_after_ms {
            Some(ms) => error.retry_after(std::time::Duration::from_millis(ms)),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_are_plain_tokens() {
        for text in ["a", "user:42", "s-0193", "A.b_c-d", &"x".repeat(128)] {
            assert_eq!(SessionId::parse(text).unwrap().as_str(), text);
            SessionId::parse(text).unwrap().conversation().unwrap();
        }
        for text in ["", "-a", "a b", "a/b", "ä", "..", &"x".repeat(129)] {
            assert!(SessionId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn events_are_read_as_they_were_written() {
        let event = TurnEvent::Completed(Box::new(TurnOutcome {
            parts: vec![Part::text("hi")],
            agent: "a".into(),
            model: ModelName::parse("demo").unwrap(),
            stop: StopReason::End,
            usage: Tokens::default(),
            cost_micros: 0,
            calls: 1,
        }));
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<TurnEvent>(&text).unwrap(), event);
        assert!(event.is_last());
    }
}
