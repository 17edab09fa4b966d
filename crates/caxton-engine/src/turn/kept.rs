//! What is kept of a turn: a record that tells how it stands, and its events in chunks.

use crate::documents::Document;
use crate::port::store::RecordKind;
use caxton_core::model::ChatMessage;
use caxton_core::session::{SessionId, TurnEvent, TurnId};
use caxton_core::{AgentName, MessageId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a turn stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TurnState {
    Running,
    Completed,
    Failed,
}

impl TurnState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// A turn, as kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnRecord {
    pub id: TurnId,
    pub session: SessionId,
    pub agent: AgentName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub state: TurnState,
    pub created: Timestamp,
    pub ended: Option<Timestamp>,
    /// Entries of the session's history up to the turn's end.
    pub entries: u64,
}

impl Document for TurnRecord {
    const KIND: RecordKind = RecordKind("turn");
}

/// Some events of a turn, one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chunk {
    pub(crate) turn: TurnId,
    pub(crate) events: Vec<(u64, TurnEvent)>,
}

impl Document for Chunk {
    const KIND: RecordKind = RecordKind("turn-events");
}

impl Chunk {
    /// What the ids of a turn's chunks begin with.
    pub(crate) fn prefix(turn: TurnId) -> String {
        format!("{turn}.")
    }

    /// In the order of events.
    pub(crate) fn id(&self) -> String {
        let first = self.events.first().map_or(0, |(id, _)| *id);
        format!("{}{first:012}", Self::prefix(self.turn))
    }
}

/// The turn that a message handed over goes on with.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Alias {
    pub(crate) message: MessageId,
    pub(crate) turn: TurnId,
}

impl Document for Alias {
    const KIND: RecordKind = RecordKind("turn-message");
}

/// A response, as kept: no part of a session, and gone on from by its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// The turn it is of.
    pub id: TurnId,
    /// The one it goes on from.
    pub previous: Option<TurnId>,
    /// What was said in it, the answer last.
    pub messages: Vec<ChatMessage>,
    /// As the client was answered.
    pub answer: Value,
}

impl Document for StoredResponse {
    const KIND: RecordKind = RecordKind("response");
}
