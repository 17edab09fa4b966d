//! FIPA-ACL messages (SC00061): the ACL parameters as [`Acl`], and the [`Message`] that travels,
//! which adds what the server knows: id, tenant, trace, hop count and call chain.

pub mod acl_string;
pub mod json;
mod performative;
mod validate;

pub use performative::Performative;
pub use validate::{
    CONTENT_BYTES_MAX, IDENTIFIER_PARTS_MAX, RECEIVERS_MAX, USER_PARAMETER_BYTES_MAX,
    USER_PARAMETERS_MAX,
};

use crate::agent::{AgentId, MailboxId};
use crate::id::{ConversationId, MessageId};
use crate::tenant::TenantId;
use crate::time::Timestamp;
use crate::trace::TraceContext;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An agent identifier (FIPA SC00023, 3.1). Equal by name alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Identifier {
    pub id: AgentId,
    /// Addresses and resolvers; kept and passed on, never used for routing.
    pub contact: Option<Box<Contact>>,
}

/// The optional parts of an agent identifier.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Contact {
    /// Transport addresses, in order of preference.
    pub addresses: Vec<String>,
    /// Agents that can resolve the name.
    pub resolvers: Vec<Identifier>,
}

impl Identifier {
    pub fn new(id: AgentId) -> Self {
        Self { id, contact: None }
    }
}

impl From<AgentId> for Identifier {
    fn from(id: AgentId) -> Self {
        Self::new(id)
    }
}

impl PartialEq for Identifier {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Identifier {}

/// The parameters of an ACL message. Only the performative is mandatory in ACL; `receivers` and
/// `reply_to` are sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    pub performative: Performative,
    pub sender: Option<Identifier>,
    pub receivers: Vec<Identifier>,
    /// The agents that later messages of this conversation go to, in place of the sender.
    pub reply_to: Vec<Identifier>,
    pub content: Bytes,
    pub language: Option<String>,
    pub encoding: Option<String>,
    pub ontology: Option<String>,
    pub protocol: Option<String>,
    pub conversation_id: Option<ConversationId>,
    pub reply_with: Option<String>,
    pub in_reply_to: Option<String>,
    pub reply_by: Option<Timestamp>,
    /// The user's own parameters, in order; names begin with `X-`.
    pub user_parameters: Vec<(String, String)>,
}

impl Acl {
    /// An otherwise empty message of this act.
    pub fn new(performative: Performative) -> Self {
        Self {
            performative,
            sender: None,
            receivers: Vec::new(),
            reply_to: Vec::new(),
            content: Bytes::new(),
            language: None,
            encoding: None,
            ontology: None,
            protocol: None,
            conversation_id: None,
            reply_with: None,
            in_reply_to: None,
            reply_by: None,
            user_parameters: Vec::new(),
        }
    }

    #[must_use]
    #[inline]
    pub fn to(mut self, receiver: AgentId) -> Self {
        if self.receivers.is_empty() {
            // Of exactly one place: most messages have one receiver.
            self.receivers = vec![receiver.into()];
        } else {
            self.receivers.push(receiver.into());
        }
        self
    }

    #[must_use]
    #[inline]
    pub fn content(mut self, content: impl Into<Bytes>) -> Self {
        self.content = content.into();
        self
    }

    /// The answer to this message, as SC00061 has it: conversation and protocol are copied,
    /// `in-reply-to` is the other's `reply-with`, and it goes to `reply-to` where there is one.
    #[must_use]
    pub fn reply(&self, performative: Performative) -> Self {
        let mut reply = self.follow_up(performative);
        reply.receivers = match (&self.sender, self.reply_to.as_slice()) {
            (Some(sender), []) => vec![sender.clone()],
            (_, named) => named.to_vec(),
        };
        reply
    }

    /// The same without receivers: for an answer that goes to somebody else, on whose behalf the
    /// message was sent or who is to go on with it.
    #[must_use]
    pub fn follow_up(&self, performative: Performative) -> Self {
        Self {
            protocol: self.protocol.clone(),
            conversation_id: self.conversation_id.clone(),
            in_reply_to: self.reply_with.clone(),
            ..Self::new(performative)
        }
    }

    /// The platform's answer to this message where it is malformed, without its reason.
    #[must_use]
    pub fn not_understood(&self) -> Self {
        let token = |text: &Option<String>| text.clone().filter(|text| crate::id::is_token(text));
        Self {
            protocol: token(&self.protocol),
            conversation_id: self.conversation_id.clone(),
            in_reply_to: token(&self.reply_with),
            ontology: Some("caxton.delivery".to_owned()),
            ..Self::new(Performative::NotUnderstood)
        }
    }

    /// A message in a protocol carries a unique conversation id (SC00061): where the sender gave
    /// none, it is the message's own id.
    pub fn name_conversation(&mut self, id: MessageId) {
        if self.protocol.is_some() && self.conversation_id.is_none() {
            self.conversation_id = ConversationId::parse(&id.to_string()).ok();
        }
    }

    /// The content as text, where it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.content).ok()
    }

    /// What the message counts as against size limits: content, all texts, and what agents' identifiers
    /// have beside names, in bytes.
    pub fn bytes(&self) -> usize {
        let len = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let conversation = self.conversation_id.as_ref();
        let users = self.user_parameters.iter();
        let agents = self.receivers.iter().chain(&self.reply_to);
        self.content.len()
            + len(&self.language)
            + len(&self.encoding)
            + len(&self.ontology)
            + len(&self.protocol)
            + len(&self.reply_with)
            + len(&self.in_reply_to)
            + conversation.map_or(0, |id| id.as_str().len())
            + users
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>()
            + agents.map(Identifier::contact_bytes).sum::<usize>()
    }
}

impl Identifier {
    /// Addresses and resolvers, in bytes.
    fn contact_bytes(&self) -> usize {
        let Some(contact) = &self.contact else {
            return 0;
        };
        let addresses = contact.addresses.iter().map(String::len);
        let resolvers = contact
            .resolvers
            .iter()
            .map(|it| it.id.name.as_str().len() + it.contact_bytes());
        addresses.sum::<usize>() + resolvers.sum::<usize>()
    }
}

/// A message on its way: the ACL parameters and what the server stamped on it. `acl.sender` is
/// always set once a message is stamped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub id: MessageId,
    /// The sender's tenant; a message never leaves it.
    pub tenant: TenantId,
    pub trace: TraceContext,
    /// The message whose handling sent this one.
    pub parent: Option<MessageId>,
    /// How many messages caused each other up to this one: 0 at a door.
    pub hop: u16,
    /// The mailboxes that wait for the answer to this message, outermost first.
    pub waiting: Option<Arc<[MailboxId]>>,
    pub created: Timestamp,
    pub acl: Acl,
}

impl Message {
    /// The id of what a receiver makes of it: its turn, its calls of tools. The first receiver's is the
    /// message's own.
    pub fn delivery_to(&self, receiver: &AgentId) -> MessageId {
        let receivers = &self.acl.receivers;
        let place = receivers.iter().position(|it| it.id == *receiver);
        self.id
            .nth(place.and_then(|it| u16::try_from(it).ok()).unwrap_or(0))
    }

    /// The sender's name; a stamped message has one.
    pub fn sender(&self) -> Option<&AgentId> {
        self.acl.sender.as_ref().map(|sender| &sender.id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn agent(name: &str) -> AgentId {
        AgentId::parse(name, &TenantId::default_tenant()).unwrap()
    }

    #[test]
    fn a_reply_follows_the_specification() {
        let mut asked = Acl::new(Performative::Request).to(agent("b"));
        asked.sender = Some(agent("a").into());
        asked.reply_with = Some("r1".into());
        asked.protocol = Some("fipa-request".into());
        asked.conversation_id = ConversationId::parse("c1").ok();
        let reply = asked.reply(Performative::Inform);
        assert_eq!(reply.receivers, vec![agent("a").into()]);
        assert_eq!(reply.in_reply_to.as_deref(), Some("r1"));
        assert_eq!(
            (&reply.protocol, &reply.conversation_id),
            (&asked.protocol, &asked.conversation_id)
        );
        assert_eq!(reply.reply_with, None);
        asked.reply_to = vec![agent("c").into(), agent("d").into()];
        assert_eq!(asked.reply(Performative::Agree).receivers, asked.reply_to);
    }

    #[test]
    fn identifiers_are_equal_by_name_alone() {
        let plain = Identifier::new(agent("a"));
        let mut addressed = plain.clone();
        addressed.contact = Some(Box::new(Contact {
            addresses: vec!["http://x".into()],
            resolvers: vec![],
        }));
        assert_eq!(plain, addressed);
    }
}
