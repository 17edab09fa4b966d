//! A plain binary form for what an agent keeps in its state: numbers, texts, bytes and messages one
//! after the other.
//!
//! An agent's memory may vanish between two messages, so one that answers later has to keep the
//! answer it began: `message.reply(..)` goes into a [`Writer`] and comes back from a [`Reader`]. A
//! text format would need escapes, a general serializer tens of kilobytes of code.

use crate::{AgentId, Message, Performative, UserParameter};

/// Writes fields one after the other.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a number.
    #[must_use]
    pub fn number(mut self, value: i64) -> Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Appends bytes, their length first.
    #[must_use]
    pub fn bytes(self, value: &[u8]) -> Self {
        let mut writer = self.number(value.len().try_into().unwrap_or(i64::MAX));
        writer.bytes.extend_from_slice(value);
        writer
    }

    /// Appends a text.
    #[must_use]
    pub fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    /// Appends a message with all its parameters.
    #[must_use]
    pub fn message(self, message: &Message) -> Self {
        let optional = |writer: Self, text: &Option<String>| match text {
            Some(text) => writer.number(1).text(text),
            None => writer.number(0),
        };
        let mut writer = self
            .text(message.performative.as_str())
            .agents(message.sender.as_slice())
            .agents(&message.receivers)
            .agents(&message.reply_to)
            .bytes(&message.content);
        for text in [
            &message.language,
            &message.encoding,
            &message.ontology,
            &message.protocol,
            &message.conversation_id,
            &message.reply_with,
            &message.in_reply_to,
        ] {
            writer = optional(writer, text);
        }
        writer = match message.reply_by_us {
            Some(time_us) => writer.number(1).number(time_us),
            None => writer.number(0),
        };
        writer = writer.count(message.user_parameters.len());
        for parameter in &message.user_parameters {
            writer = writer.text(&parameter.name).text(&parameter.value);
        }
        writer
    }

    /// The record's bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn count(self, count: usize) -> Self {
        self.number(count.try_into().unwrap_or(i64::MAX))
    }

    fn agents(self, agents: &[AgentId]) -> Self {
        let mut writer = self.count(agents.len());
        for agent in agents {
            writer = writer.text(&agent.name);
            for list in [&agent.addresses, &agent.resolvers] {
                writer = writer.count(list.len());
                for text in list {
                    writer = writer.text(text);
                }
            }
        }
        writer
    }
}

/// Reads the fields back, in the order they were written. Every read is `None` where the bytes end
/// early or hold something else.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A record's fields.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next number.
    pub fn number(&mut self) -> Option<i64> {
        let (number, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(i64::from_le_bytes(*number))
    }

    /// The next bytes.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    /// The next text.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The next message.
    pub fn message(&mut self) -> Option<Message> {
        let mut message = Message::new(Performative::parse(self.text()?)?);
        message.sender = self.agents()?.pop();
        message.receivers = self.agents()?;
        message.reply_to = self.agents()?;
        message.content = self.bytes()?.to_vec();
        for field in [
            &mut message.language,
            &mut message.encoding,
            &mut message.ontology,
            &mut message.protocol,
            &mut message.conversation_id,
            &mut message.reply_with,
            &mut message.in_reply_to,
        ] {
            *field = if self.flag()? {
                Some(self.text()?.to_owned())
            } else {
                None
            };
        }
        message.reply_by_us = if self.flag()? {
            Some(self.number()?)
        } else {
            None
        };
        for _ in 0..self.number()? {
            let (name, value) = (self.text()?.to_owned(), self.text()?.to_owned());
            message.user_parameters.push(UserParameter { name, value });
        }
        Some(message)
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.rest.is_empty()
    }

    fn flag(&mut self) -> Option<bool> {
        match self.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn agents(&mut self) -> Option<Vec<AgentId>> {
        let mut agents = Vec::new();
        for _ in 0..self.number()? {
            let mut agent = AgentId::new(self.text()?);
            for list in [&mut agent.addresses, &mut agent.resolvers] {
                for _ in 0..self.number()? {
                    list.push(self.text()?.to_owned());
                }
            }
            agents.push(agent);
        }
        Some(agents)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    fn full() -> Message {
        let mut message = Message::new(Performative::AcceptProposal)
            .to("a@t")
            .to("b")
            .reply_to("c")
            .content([0_u8, 0xff, b'"'])
            .language("sl")
            .encoding("raw")
            .ontology("o")
            .protocol("fipa-contract-net")
            .conversation("c1")
            .reply_with("")
            .reply_by_us(-1)
            .user_parameter("X-a", "1");
        message.in_reply_to = Some("r1".into());
        let mut sender = AgentId::new("me");
        sender.addresses.push("http://127.0.0.1:1".into());
        sender
            .resolvers
            .extend(["ams@t".to_owned(), "df@t".to_owned()]);
        message.sender = Some(sender);
        message
    }

    #[test]
    fn fields_come_back_as_they_were_written() {
        for message in [full(), Message::new(Performative::Cfp)] {
            let bytes = Writer::new()
                .number(-7)
                .message(&message)
                .text("end")
                .finish();
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.number(), Some(-7));
            let read = reader.message().expect("a message");
            assert_eq!(format!("{read:?}"), format!("{message:?}"));
            assert!(!reader.is_finished());
            assert_eq!(reader.text(), Some("end"));
            assert!(reader.is_finished());
        }
    }

    #[test]
    fn a_record_cut_anywhere_is_none_and_never_a_panic() {
        let bytes = Writer::new().message(&full()).finish();
        for length in 0..bytes.len() {
            assert!(
                Reader::new(&bytes[..length]).message().is_none(),
                "cut at {length}"
            );
        }
    }

    #[test]
    fn lengths_that_lie_are_none() {
        for length in [-1, 9, i64::MAX, i64::MIN] {
            let bytes = Writer::new().number(length).number(0).finish();
            assert_eq!(Reader::new(&bytes).bytes(), None, "length {length}");
        }
    }
}
