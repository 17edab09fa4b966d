//! The packed form of messages; `wit/agent.wit` has its layout at `packed`.
//!
//! The content of a message that came in stays where the server wrote it, and the content of one that
//! goes out is read by the server where it lies: in between a guest copies only names and other short
//! texts.

use crate::{AgentId, Message, Performative, UserParameter};

/// A head's length where there is one receiver and a conversation; longer ones grow.
const HEAD_BYTES: usize = 192;

/// Everything of a message but its content.
pub(crate) fn head(message: &Message) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let texts = texts(message);
    let mut set = 0;
    for (bit, text) in texts.iter().enumerate() {
        set |= u8::from(text.is_some()) << bit;
    }
    set |= u8::from(message.reply_by_us.is_some()) << 7;
    head.extend_from_slice(&[message.performative as u8, set]);
    if let Some(time_us) = message.reply_by_us {
        head.extend_from_slice(&time_us.to_le_bytes());
    }
    for text in texts.into_iter().flatten() {
        put_text(&mut head, text);
    }
    put_agents(&mut head, message.sender.as_slice());
    put_agents(&mut head, &message.receivers);
    put_agents(&mut head, &message.reply_to);
    put_count(&mut head, message.user_parameters.len());
    for parameter in &message.user_parameters {
        put_text(&mut head, &parameter.name);
        put_text(&mut head, &parameter.value);
    }
    head
}

fn texts(message: &Message) -> [Option<&String>; 7] {
    [
        message.language.as_ref(),
        message.encoding.as_ref(),
        message.ontology.as_ref(),
        message.protocol.as_ref(),
        message.conversation_id.as_ref(),
        message.reply_with.as_ref(),
        message.in_reply_to.as_ref(),
    ]
}

fn put_count(head: &mut Vec<u8>, count: usize) {
    // A 32-bit memory holds no more; natively only tests pack.
    head.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_text(head: &mut Vec<u8>, text: &str) {
    put_count(head, text.len());
    head.extend_from_slice(text.as_bytes());
}

fn put_agents(head: &mut Vec<u8>, agents: &[AgentId]) {
    put_count(head, agents.len());
    for agent in agents {
        put_text(head, &agent.name);
        for list in [&agent.addresses, &agent.resolvers] {
            put_count(head, list.len());
            for text in list {
                put_text(head, text);
            }
        }
    }
}

/// The message of these bytes: the content, so many of them, and then the head. `None` where they are
/// something else.
pub(crate) fn read(mut bytes: Vec<u8>, content_bytes: usize) -> Option<Message> {
    let mut reader = Reader(bytes.get(content_bytes..)?);
    let mut message = Message::new(act(reader.byte()?)?);
    let set = reader.byte()?;
    if set & 128 != 0 {
        message.reply_by_us = Some(i64::from_le_bytes(reader.array()?));
    }
    for (bit, text) in [
        &mut message.language,
        &mut message.encoding,
        &mut message.ontology,
        &mut message.protocol,
        &mut message.conversation_id,
        &mut message.reply_with,
        &mut message.in_reply_to,
    ]
    .into_iter()
    .enumerate()
    {
        if set & (1 << bit) != 0 {
            *text = Some(reader.text()?);
        }
    }
    message.sender = reader.agents()?.pop();
    message.receivers = reader.agents()?;
    message.reply_to = reader.agents()?;
    for _ in 0..reader.count()? {
        let (name, value) = (reader.text()?, reader.text()?);
        message.user_parameters.push(UserParameter { name, value });
    }
    if !reader.0.is_empty() {
        return None;
    }
    bytes.truncate(content_bytes);
    message.content = bytes;
    Some(message)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = self.count()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let text = text.to_vec();
        if cfg!(target_family = "wasm") {
            // SAFETY: the server packs only texts, and a guest has nobody else to believe. To look at
            // every byte again is a tenth of what a small agent does with a message.
            return Some(unsafe { String::from_utf8_unchecked(text) });
        }
        String::from_utf8(text).ok()
    }

    fn texts(&mut self) -> Option<Vec<String>> {
        let count = self.count()?;
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(self.text()?);
        }
        Some(texts)
    }

    fn agents(&mut self) -> Option<Vec<AgentId>> {
        let count = self.count()?;
        // Not `with_capacity(count)`: a count that lies must not take memory.
        let mut agents = Vec::with_capacity(count.min(1));
        for _ in 0..count {
            agents.push(AgentId {
                name: self.text()?,
                addresses: self.texts()?,
                resolvers: self.texts()?,
            });
        }
        Some(agents)
    }
}

fn act(place: u8) -> Option<Performative> {
    Performative::at(place.into())
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
            .user_parameter("X-a", "ä");
        message.in_reply_to = Some("r1".into());
        let mut sender = AgentId::new("me");
        sender.addresses.push("http://127.0.0.1:1".into());
        sender
            .resolvers
            .extend(["ams@t".to_owned(), "df@t".to_owned()]);
        message.sender = Some(sender);
        message
    }

    fn packed(message: &Message) -> Vec<u8> {
        [message.content.clone(), head(message)].concat()
    }

    #[test]
    fn a_message_comes_back_as_it_was() {
        for message in [full(), Message::new(Performative::Subscribe)] {
            let read = read(packed(&message), message.content.len()).expect("a message");
            assert_eq!(format!("{read:?}"), format!("{message:?}"));
        }
    }

    #[test]
    fn the_layout_is_the_interfaces() {
        let message = Message::new(Performative::Request)
            .to("b")
            .protocol("p")
            .reply_by_us(2)
            .user_parameter("X-a", "1");
        #[rustfmt::skip]
        let expected = [
            18, 8 | 128, // request; protocol and reply-by-us
            2, 0, 0, 0, 0, 0, 0, 0,
            1, 0, 0, 0, b'p',
            0, 0, 0, 0, // no sender
            1, 0, 0, 0, 1, 0, 0, 0, b'b', 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, // no reply-to
            1, 0, 0, 0, 3, 0, 0, 0, b'X', b'-', b'a', 1, 0, 0, 0, b'1',
        ];
        assert_eq!(head(&message), expected);
    }

    #[test]
    fn bytes_cut_anywhere_or_with_more_behind_are_none_and_never_a_panic() {
        let message = full();
        let bytes = packed(&message);
        for length in 0..bytes.len() {
            assert!(
                read(bytes[..length].to_vec(), 3).is_none(),
                "cut at {length}"
            );
        }
        let longer = [bytes, vec![0]].concat();
        assert!(read(longer, 3).is_none());
    }

    #[test]
    fn counts_and_acts_that_lie_are_none() {
        let head = |bytes: &[u8]| read(bytes.to_vec(), 0);
        assert!(head(&[22, 0, 0, 0, 0, 0]).is_none());
        assert!(head(&[0, 0, 0xff, 0xff, 0xff, 0xff]).is_none());
        assert!(head(&[0, 1, 0xff, 0xff, 0xff, 0x7f, b'x']).is_none());
        assert!(head(&[0, 1, 1, 0, 0, 0, 0xff]).is_none(), "not UTF-8");
    }
}
