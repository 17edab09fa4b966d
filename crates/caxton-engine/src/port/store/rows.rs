//! What is kept and asked for: the shapes of rows.

use bytes::Bytes;
use caxton_core::error::{Code, Error};
use caxton_core::lifecycle::Phase;
use caxton_core::{
    AgentId, AgentName, ConversationId, Digest, MailboxId, Manifest, Message, MessageId, Timestamp,
};
use std::fmt;
use std::sync::Arc;

/// A deployed agent, as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRecord {
    pub agent: AgentName,
    pub manifest: Manifest,
    /// Absent for native behaviors.
    pub digest: Option<Digest>,
    /// Where it stood: what ran runs again after a restart.
    pub phase: Phase,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// A message in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    pub message: Arc<Message>,
    /// Tries that failed.
    pub attempts: u32,
}

/// Dead letters are one per (message, receiver).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId {
    pub message: MessageId,
    pub receiver: AgentName,
}

impl fmt::Display for DeadLetterId {
    /// `MESSAGE:RECEIVER`, as the API has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.message, self.receiver)
    }
}

impl DeadLetterId {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fail = || {
            Error::new(
                Code::IdMalformed,
                format!(
                    "`{}` is not a dead letter's id (MESSAGE:RECEIVER)",
                    caxton_core::error::shown(text)
                ),
            )
        };
        let (message, receiver) = text.split_once(':').ok_or_else(fail)?;
        Ok(Self {
            message: MessageId::parse(message).map_err(|_| fail())?,
            receiver: AgentName::parse(receiver).map_err(|_| fail())?,
        })
    }
}

/// A message that was given up on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub id: DeadLetterId,
    pub mailbox: MailboxId,
    /// A `CX-####`.
    pub code: String,
    pub reason: String,
    pub attempts: u32,
    pub buried: Timestamp,
}

impl DeadLetter {
    /// Where the message stands with this letter's receiver.
    pub fn status(&self) -> DeliveryStatus {
        DeliveryStatus {
            mailbox: self.mailbox.clone(),
            state: DeliveryState::Dead,
            attempts: self.attempts,
            error: Some(format!("{}: {}", self.code, self.reason)),
        }
    }
}

/// A timer of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    pub mailbox: MailboxId,
    pub name: String,
    pub due: Timestamp,
    pub content: Bytes,
    /// The message whose handling set it: its trace goes on when the timer fires.
    pub origin: Option<MessageId>,
}

/// A waiting call: the `index`-th of the handling of `message` in `mailbox`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    pub mailbox: MailboxId,
    pub message: MessageId,
    pub index: u32,
}

/// A call as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    pub request: Arc<Message>,
    pub answer: Option<Arc<Message>>,
}

/// Where a recorded message stands with one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryStatus {
    pub mailbox: MailboxId,
    pub state: DeliveryState,
    pub attempts: u32,
    /// The code and reason of a dead letter.
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    Pending,
    Dead,
}

/// A recorded message. Receivers that have no row in `open` have handled it (or were outside).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub message: Arc<Message>,
    pub open: Vec<DeliveryStatus>,
}

/// Which messages to list. All given conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    pub conversation: Option<ConversationId>,
    /// Sender or a receiver.
    pub agent: Option<AgentName>,
    pub trace_id: Option<[u8; 16]>,
}

impl MessageFilter {
    pub fn matches(&self, message: &Message) -> bool {
        let conversation = self.conversation.as_ref();
        let trace = self.trace_id.as_ref();
        let in_tenant =
            |id: &AgentId, name: &AgentName| id.name == *name && id.tenant == message.tenant;
        let agent_matches = self.agent.as_ref().is_none_or(|name| {
            let receivers = message.acl.receivers.iter().map(|receiver| &receiver.id);
            let mut named = message.sender().into_iter().chain(receivers);
            named.any(|id| in_tenant(id, name))
        });
        agent_matches
            && conversation.is_none_or(|id| message.acl.conversation_id.as_ref() == Some(id))
            && trace.is_none_or(|id| message.trace.trace_id == *id)
    }
}
