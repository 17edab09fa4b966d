//! A conversation: all messages with one `conversation-id`. What is kept of it is a fold over its
//! messages, so that it can be rebuilt from the journal at any time.

use crate::agent::AgentId;
use crate::id::ConversationId;
use crate::message::{Message, Performative};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Participants a conversation's summary names; later ones are counted only.
pub const PARTICIPANTS_MAX: usize = 256;

/// What is known of a conversation without reading its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    pub id: ConversationId,
    /// The protocol the first message named.
    pub protocol: Option<String>,
    /// Who sent or received, in order of appearance.
    pub participants: Vec<AgentId>,
    pub messages: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    pub last_performative: Performative,
}

impl Conversation {
    /// The conversation that this message begins; none without a conversation id.
    pub fn begin(message: &Message) -> Option<Self> {
        let mut conversation = Self {
            id: message.acl.conversation_id.clone()?,
            protocol: message.acl.protocol.clone(),
            participants: Vec::new(),
            messages: 0,
            first: message.created,
            last: message.created,
            last_performative: message.acl.performative,
        };
        conversation.add(message);
        Some(conversation)
    }

    /// Takes one more message in.
    pub fn add(&mut self, message: &Message) {
        self.messages += 1;
        self.first = self.first.min(message.created);
        self.last = self.last.max(message.created);
        self.last_performative = message.acl.performative;
        if self.protocol.is_none() {
            self.protocol.clone_from(&message.acl.protocol);
        }
        let receivers = message.acl.receivers.iter().map(|receiver| &receiver.id);
        for agent in message.sender().into_iter().chain(receivers) {
            if self.participants.len() < PARTICIPANTS_MAX && !self.participants.contains(agent) {
                self.participants.push(agent.clone());
            }
        }
    }
}
