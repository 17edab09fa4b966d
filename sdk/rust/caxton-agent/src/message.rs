//! Building, reading, answering and sending messages.
//!
//! What an answer copies and where it goes is SC00061's rule, and it is easy to get wrong
//! (`reply-to` is a set of agents, not an id); it stands here once.

use crate::bindings::caxton::agent::messaging;
use crate::bindings::packed::caxton::agent::packed;
use crate::{AgentId, Delivery, Error, Message, Performative, UserParameter, packed as form};
use std::fmt;

impl Message {
    /// A message of this act with nothing else set.
    #[must_use]
    pub fn new(performative: Performative) -> Self {
        Self {
            performative,
            sender: None,
            receivers: Vec::new(),
            reply_to: Vec::new(),
            content: Vec::new(),
            language: None,
            encoding: None,
            ontology: None,
            protocol: None,
            conversation_id: None,
            reply_with: None,
            in_reply_to: None,
            reply_by_us: None,
            user_parameters: Vec::new(),
        }
    }

    /// Adds a receiver; one that is already there is not added again (receivers are a set).
    #[must_use]
    pub fn to(mut self, agent: impl Into<AgentId>) -> Self {
        let agent = agent.into();
        if !self.receivers.contains(&agent) {
            self.receivers.push(agent);
        }
        self
    }

    /// Adds an agent that answers go to instead of the sender.
    #[must_use]
    pub fn reply_to(mut self, agent: impl Into<AgentId>) -> Self {
        let agent = agent.into();
        if !self.reply_to.contains(&agent) {
            self.reply_to.push(agent);
        }
        self
    }

    /// Sets the content: text, or bytes whose `encoding` the receiver must know.
    #[must_use]
    pub fn content(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.content = content.into();
        self
    }

    /// Sets the language the content is written in.
    #[must_use]
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.language = Some(language.into());
        self
    }

    /// Sets the encoding of the content.
    #[must_use]
    pub fn encoding(mut self, encoding: impl Into<String>) -> Self {
        self.encoding = Some(encoding.into());
        self
    }

    /// Sets the ontology that gives the content's words their meaning.
    #[must_use]
    pub fn ontology(mut self, ontology: impl Into<String>) -> Self {
        self.ontology = Some(ontology.into());
        self
    }

    /// Sets the interaction protocol; a message with one needs a globally unique
    /// [`conversation`](Self::conversation) too.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocol = Some(protocol.into());
        self
    }

    /// Sets the conversation's id.
    #[must_use]
    pub fn conversation(mut self, id: impl Into<String>) -> Self {
        self.conversation_id = Some(id.into());
        self
    }

    /// Sets the word the answer carries as `in-reply-to`. Where several receivers will answer,
    /// send each its own message with its own word.
    #[must_use]
    pub fn reply_with(mut self, word: impl Into<String>) -> Self {
        self.reply_with = Some(word.into());
        self
    }

    /// Sets the time by which an answer is wanted: absolute, microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn reply_by_us(mut self, time_us: i64) -> Self {
        self.reply_by_us = Some(time_us);
        self
    }

    /// Adds a parameter of the user's own; `name` begins with `X-`.
    #[must_use]
    pub fn user_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.user_parameters.push(UserParameter {
            name: name.into(),
            value: value.into(),
        });
        self
    }

    /// The content as text; `None` where it is not UTF-8 or says it is in another encoding.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self.encoding.as_deref() {
            Some(encoding) if !encoding.eq_ignore_ascii_case("utf-8") => None,
            _ => std::str::from_utf8(&self.content).ok(),
        }
    }

    /// The name of the agent that sent it; the server sets it, so it can be believed. Empty only
    /// for a message of one's own that was not yet sent.
    #[must_use]
    pub fn sender_name(&self) -> &str {
        self.sender
            .as_ref()
            .map_or("", |sender| sender.name.as_str())
    }

    /// An answer to this message (SC00061): same conversation and protocol, `in-reply-to` what this
    /// one has as `reply-with`, to its `reply-to` where there is one, else to its sender.
    #[must_use]
    pub fn reply(&self, performative: Performative) -> Self {
        let mut reply = Self::new(performative);
        reply.receivers = match (self.reply_to.as_slice(), &self.sender) {
            ([], Some(sender)) => vec![sender.clone()],
            ([], None) => Vec::new(),
            (answered, _) => answered.to_vec(),
        };
        reply.conversation_id.clone_from(&self.conversation_id);
        reply.protocol.clone_from(&self.protocol);
        reply.in_reply_to.clone_from(&self.reply_with);
        reply
    }

    /// As [`reply`](Self::reply), made of this message itself: nothing is copied. Content, language,
    /// encoding and ontology stay as they are.
    #[must_use]
    pub fn into_reply(self, performative: Performative) -> Self {
        let receivers = match (self.reply_to.is_empty(), self.sender) {
            (false, _) => self.reply_to,
            (true, Some(sender)) => vec![sender],
            (true, None) => Vec::new(),
        };
        Self {
            performative,
            sender: None,
            receivers,
            reply_to: Vec::new(),
            reply_with: None,
            in_reply_to: self.reply_with,
            reply_by_us: None,
            user_parameters: Vec::new(),
            ..self
        }
    }

    /// Answers that this message was not understood, and why. Sends nothing where an answer would
    /// be wrong: to an act that expects none, `not-understood` above all, or to nobody.
    ///
    /// # Errors
    /// As [`send`].
    pub fn answer_not_understood(&self, reason: &str) -> Result<(), Error> {
        let reply = self.reply(Performative::NotUnderstood).content(reason);
        if self.performative.expects_answer() && !reply.receivers.is_empty() {
            reply.send()?;
        }
        Ok(())
    }

    /// Queues this message, as [`send`] does.
    ///
    /// # Errors
    /// As [`send`].
    pub fn send(&self) -> Result<MessageId, Error> {
        send(self)
    }

    /// Sends this message at once and waits for the answer, as [`call`] does.
    ///
    /// # Errors
    /// As [`call`].
    pub fn call(&self, timeout_ms: u32) -> Result<Self, Error> {
        call(self, timeout_ms)
    }
}

/// Queues a message and returns the id it will have. It leaves when the handler returns without an
/// error, and never if it fails or traps.
///
/// # Errors
/// What the server refused, with its code: a faulty message, a limit, a missing grant.
pub fn send(message: &Message) -> Result<MessageId, Error> {
    let (high, low) = packed::send(&message.content, &form::head(message))?;
    Ok(MessageId { high, low })
}

/// The id a message will have: shown as the UUID that the server, its API and
/// [`Delivery::message_id`] show. Text is made only when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    high: u64,
    low: u64,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { high, low } = *self;
        let (time, middle, version) = (high >> 32, (high >> 16) & 0xffff, high & 0xffff);
        let (variant, node) = (low >> 48, low & 0xffff_ffff_ffff);
        write!(
            f,
            "{time:08x}-{middle:04x}-{version:04x}-{variant:04x}-{node:012x}"
        )
    }
}

/// Sends a message to one receiver at once and waits for its answer, `timeout_ms` at most (0: as
/// long as the agent may wait at all). A handler that is tried again gets the recorded answer.
///
/// # Errors
/// The server refused the message, no answer came in time, or the receiver is itself waiting for
/// this agent.
pub fn call(message: &Message, timeout_ms: u32) -> Result<Message, Error> {
    messaging::call(message, timeout_ms)
}

/// What the server knows of the message being handled besides its ACL parameters; `None` in `init`.
#[must_use]
pub fn current() -> Option<Delivery> {
    messaging::current()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Message {
        let mut request = Message::new(Performative::Request)
            .to("me")
            .protocol("fipa-request")
            .conversation("c1")
            .reply_with("r1")
            .content("add 1");
        request.sender = Some(AgentId::new("ann@t"));
        request
    }

    fn names(agents: &[AgentId]) -> Vec<&str> {
        agents.iter().map(|agent| agent.name.as_str()).collect()
    }

    #[test]
    fn a_reply_stays_in_the_conversation_and_goes_to_the_sender() {
        let reply = request().reply(Performative::Inform);
        assert_eq!(names(&reply.receivers), ["ann@t"]);
        assert_eq!(reply.conversation_id.as_deref(), Some("c1"));
        assert_eq!(reply.protocol.as_deref(), Some("fipa-request"));
        assert_eq!(reply.in_reply_to.as_deref(), Some("r1"));
        assert_eq!((reply.reply_with, reply.reply_by_us), (None, None));
        assert!(reply.content.is_empty() && reply.sender.is_none());
    }

    #[test]
    fn a_reply_goes_to_every_reply_to_and_not_to_the_sender() {
        let request = request()
            .reply_to("clerk")
            .reply_to("boss@t")
            .reply_to("clerk");
        let reply = request.reply(Performative::Refuse);
        assert_eq!(names(&reply.receivers), ["clerk", "boss@t"]);
    }

    #[test]
    fn a_message_made_into_its_reply_is_the_reply_with_the_content_kept() {
        for request in [
            request().language("sl").ontology("o"),
            request().reply_to("clerk").encoding("raw").reply_by_us(7),
            request().user_parameter("X-a", "1"),
        ] {
            let expected = Message {
                content: request.content.clone(),
                language: request.language.clone(),
                encoding: request.encoding.clone(),
                ontology: request.ontology.clone(),
                ..request.reply(Performative::Agree)
            };
            let reply = request.into_reply(Performative::Agree);
            assert_eq!(format!("{reply:?}"), format!("{expected:?}"));
        }
    }

    #[test]
    fn a_reply_to_a_message_without_reply_with_has_no_in_reply_to() {
        let mut request = request();
        request.reply_with = None;
        request.in_reply_to = Some("earlier".into());
        assert_eq!(request.reply(Performative::Inform).in_reply_to, None);
    }

    #[test]
    fn an_id_is_shown_as_a_uuid() {
        let id = MessageId {
            high: 0x0189_abcd_ef01_7203,
            low: 0x8405_0607_0809_0a0b,
        };
        assert_eq!(id.to_string(), "0189abcd-ef01-7203-8405-060708090a0b");
    }

    #[test]
    fn receivers_are_a_set() {
        let message = Message::new(Performative::Cfp).to("a").to("b").to("a");
        assert_eq!(names(&message.receivers), ["a", "b"]);
    }

    #[test]
    fn text_is_utf8_unless_an_encoding_says_otherwise() {
        assert_eq!(request().text(), Some("add 1"));
        assert_eq!(request().content("").text(), Some(""));
        assert_eq!(request().encoding("UTF-8").text(), Some("add 1"));
        assert_eq!(request().encoding("base64").text(), None);
        assert_eq!(request().content([0xff_u8]).text(), None);
    }

    #[test]
    fn what_expects_no_answer_is_not_answered() {
        // Natively a host call aborts, so returning at all shows that nothing was sent.
        for act in [
            Performative::NotUnderstood,
            Performative::Inform,
            Performative::Failure,
        ] {
            let mut message = request();
            message.performative = act;
            assert!(message.answer_not_understood("why").is_ok());
        }
        let mut orphan = request();
        orphan.sender = None;
        assert!(orphan.answer_not_understood("nobody asked").is_ok());
    }
}
