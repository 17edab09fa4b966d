//! A session is a conversation between a user and an assistant; a turn is one message of the user's
//! and all that it causes. A turn's id is that of the message that began it.

use crate::agent::AgentName;
use crate::error::{Code, Error, shown};
use crate::id::{ConversationId, MessageId};
use crate::model::{
    AnswerForm, ChatMessage, Extra, ModelName, Part, StopReason, SystemMark, Thinking, Tokens,
    ToolChoice, ToolSpec,
};
use crate::time::Timestamp;
use crate::tool::Rules;
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

/// The `language` of a message whose content is an [`Ask`], as the doors send them. Any other
/// content is what the user says, as text.
pub const ASK_LANGUAGE: &str = "application/vnd.caxton.turn+json";
/// Most hands that one message goes through on its way to whoever answers it.
pub const HANDS_MAX: u32 = 8;

/// What an assistant is asked to do in a session. All of it goes through the session's lane, one
/// after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Answer.
    Say(Box<Say>),
    /// Begin anew, with or without a summary of what was said.
    Reset { summarize: bool },
    /// Forget the session.
    Remove,
    /// Change what the session says otherwise than its assistant.
    Configure {
        thinking: Option<Thinking>,
        /// Absent: as they are.
        #[serde(default)]
        tools: Option<Rules>,
    },
}

/// A user's message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Say {
    pub parts: Vec<Part>,
    /// For this turn.
    pub thinking: Option<Thinking>,
    /// Nothing of it is kept but the accounts: the client has the history.
    pub passing: bool,
    pub client: Option<ClientSide>,
    /// Handed over, by whom and with which words.
    pub handed: Option<Handed>,
}

/// What a client of a compatible door brings along.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientSide {
    /// Comes after the assistant's own prompt.
    pub system: String,
    /// What was said before the message, as the client has it.
    pub history: Vec<ChatMessage>,
    /// Tools of the client's own: a call of one ends the turn, for the client to answer.
    pub tools: Vec<ToolSpec>,
    pub tool_choice: ToolChoice,
    pub parallel_calls: Option<bool>,
    pub output_tokens_max: Option<u32>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub stop: Vec<String>,
    pub extra: Option<Extra>,
    #[serde(default)]
    pub form: Option<AnswerForm>,
    #[serde(default)]
    pub system_marks: Vec<SystemMark>,
}

/// How a message came from another assistant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handed {
    pub from: String,
    pub note: String,
    pub hands: u32,
    /// What the turn took until then.
    #[serde(default)]
    pub spent: Spent,
}

/// What calls of models and tools took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    pub tokens: Tokens,
    pub cost_micros: u64,
    /// Of this turn's own models.
    pub calls: u32,
}

impl Spent {
    pub fn add(&mut self, other: Self) {
        *self = self.plus(other);
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.plus(other.tokens),
            cost_micros: self.cost_micros.saturating_add(other.cost_micros),
            calls: self.calls.saturating_add(other.calls),
        }
    }
}

impl Ask {
    /// The content of a message.
    pub fn to_content(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|error| Error::new(Code::Internal, error.to_string()))
    }

    /// What a message asks: as the doors write it, or its text.
    pub fn of(language: Option<&str>, content: &[u8]) -> Result<Self, Error> {
        if language == Some(ASK_LANGUAGE) {
            return serde_json::from_slice(content).map_err(|error| {
                Error::new(
                    Code::MessageMalformed,
                    format!("the content is no ask: {error}"),
                )
            });
        }
        let text = String::from_utf8_lossy(content).into_owned();
        Ok(Self::Say(Box::new(Say {
            parts: vec![Part::text(text)],
            ..Say::default()
        })))
    }
}

/// A session, as kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    /// Who began it was given this assistant.
    pub agent: AgentName,
    /// Who answers now, after handovers.
    pub answers: AgentName,
    /// Who began it.
    pub user: String,
    /// The first words said in it.
    pub title: String,
    pub thinking: Option<Thinking>,
    /// What the session says of tools, besides its assistant and the tenant.
    #[serde(default, skip_serializing_if = "Rules::is_silent")]
    pub tools: Rules,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub turns: u64,
    /// Entries of history: the index of the next.
    pub entries: u64,
    /// The first entry that the model still sees.
    pub seen_from: u64,
    /// What stands for the entries before `seen_from`.
    pub summary: Option<String>,
    pub usage: Tokens,
    pub cost_micros: u64,
    /// Calls of models, since this is counted.
    #[serde(default)]
    pub model_calls: u64,
}

impl Session {
    pub fn begin(id: SessionId, agent: AgentName, user: String, now: Timestamp) -> Self {
        Self {
            id,
            answers: agent.clone(),
            agent,
            user,
            title: String::new(),
            thinking: None,
            tools: Rules::default(),
            created: now,
            updated: now,
            turns: 0,
            entries: 0,
            seen_from: 0,
            summary: None,
            usage: Tokens::default(),
            cost_micros: 0,
            model_calls: 0,
        }
    }
}

/// A message of a session's history. Entries are appended and never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub turn: TurnId,
    pub at: Timestamp,
    pub message: ChatMessage,
    /// Who said it, where an assistant did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The turn did not end well, and this is how far it came.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broken: bool,
}

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
    /// The provider's signature under the thinking before it. Whoever gives that thinking back gives
    /// this too.
    ThinkingSigned {
        signature: String,
    },
    /// The model thought what its provider does not show. Whoever gives its thinking back gives this
    /// too, in its place.
    ThinkingRedacted {
        data: String,
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
    /// A canvas is there, or shows something else: a file of the session's workspace.
    Canvas {
        name: String,
        title: String,
        media_type: String,
        path: String,
    },
    /// Another assistant goes on with the conversation.
    HandedOver {
        from: String,
        to: String,
    },
    /// Something that whoever follows may want to know: old messages were summed up, or left out.
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
                Self::ThinkingSigned { signature: text }
                | Self::ThinkingRedacted { data: text } => text.len(),
                Self::ToolCall { arguments, .. } | Self::ApprovalRequired { arguments, .. } => {
                    arguments.to_string().len()
                }
                Self::ToolResult { parts, .. } => parts.iter().map(Part::bytes).sum(),
                Self::Completed(outcome) => outcome.parts.iter().map(Part::bytes).sum(),
                Self::Started { .. }
                | Self::Canvas { .. }
                | Self::HandedOver { .. }
                | Self::Failed(_) => FRAME,
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
