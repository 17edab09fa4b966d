//! The packed form of messages, as `wit/agent.wit` lays it out at `packed`: [`write`] makes one for a
//! guest, [`read`] reads what a guest made. The bytes are foreign: whatever stands in them, reading
//! ends with a message or an error, and takes no more memory than they are long, some thirty times at
//! most.

use caxton_core::error::{Code, Error, shown};
use caxton_core::message::Contact;
use caxton_core::{Acl, AgentId, ConversationId, Identifier, Performative, TenantId, Timestamp};

use bytes::Bytes;

/// Largest head. The largest that a valid message has is a third of it.
pub(crate) const HEAD_BYTES_MAX: usize = 4 << 20;

/// A head's length where there is one receiver and a conversation; longer ones grow.
const HEAD_BYTES: usize = 192;

/// Bit of `reply-by` in the second byte; the texts have those below.
const REPLY_BY: u8 = 1 << 7;

/// The acts in the order of the ABI.
const ACTS: [Performative; 22] = [
    Performative::AcceptProposal,
    Performative::Agree,
    Performative::Cancel,
    Performative::Cfp,
    Performative::Confirm,
    Performative::Disconfirm,
    Performative::Failure,
    Performative::Inform,
    Performative::InformIf,
    Performative::InformRef,
    Performative::NotUnderstood,
    Performative::Propagate,
    Performative::Propose,
    Performative::Proxy,
    Performative::QueryIf,
    Performative::QueryRef,
    Performative::Refuse,
    Performative::RejectProposal,
    Performative::Request,
    Performative::RequestWhen,
    Performative::RequestWhenever,
    Performative::Subscribe,
];

/// A message for a guest: its content, then its head.
pub(crate) fn write(acl: &Acl) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(acl.content.len() + HEAD_BYTES);
    bytes.extend_from_slice(&acl.content);
    let texts = [
        acl.language.as_deref(),
        acl.encoding.as_deref(),
        acl.ontology.as_deref(),
        acl.protocol.as_deref(),
        acl.conversation_id.as_ref().map(ConversationId::as_str),
        acl.reply_with.as_deref(),
        acl.in_reply_to.as_deref(),
    ];
    let mut set = 0;
    for (bit, text) in texts.iter().enumerate() {
        set |= u8::from(text.is_some()) << bit;
    }
    if acl.reply_by.is_some() {
        set |= REPLY_BY;
    }
    bytes.extend_from_slice(&[place_of(acl.performative), set]);
    if let Some(time) = acl.reply_by {
        bytes.extend_from_slice(&time.as_us().to_le_bytes());
    }
    for text in texts.into_iter().flatten() {
        put_text(&mut bytes, text);
    }
    put_agents(&mut bytes, acl.sender.as_slice());
    put_agents(&mut bytes, &acl.receivers);
    put_agents(&mut bytes, &acl.reply_to);
    put_count(&mut bytes, acl.user_parameters.len());
    for (name, value) in &acl.user_parameters {
        put_text(&mut bytes, name);
        put_text(&mut bytes, value);
    }
    bytes
}

fn place_of(act: Performative) -> u8 {
    let place = ACTS.iter().position(|known| *known == act);
    place
        .and_then(|place| u8::try_from(place).ok())
        .unwrap_or(0)
}

/// Everything in a message is bounded far below 4 GiB.
fn put_count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_count(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

fn put_name(bytes: &mut Vec<u8>, agent: &AgentId) {
    let (name, tenant) = (agent.name.as_str(), agent.tenant.as_str());
    put_count(bytes, name.len() + 1 + tenant.len());
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(b'@');
    bytes.extend_from_slice(tenant.as_bytes());
}

fn put_agents(bytes: &mut Vec<u8>, agents: &[Identifier]) {
    put_count(bytes, agents.len());
    for agent in agents {
        put_name(bytes, &agent.id);
        let Some(contact) = agent.contact.as_deref() else {
            put_count(bytes, 0);
            put_count(bytes, 0);
            continue;
        };
        put_count(bytes, contact.addresses.len());
        for address in &contact.addresses {
            put_text(bytes, address);
        }
        put_count(bytes, contact.resolvers.len());
        for resolver in &contact.resolvers {
            put_name(bytes, &resolver.id);
        }
    }
}

/// What a guest wants to send. Names without a tenant mean `home`; the sender it wrote is ignored.
pub(crate) fn read(content: Bytes, head: &[u8], home: &TenantId) -> Result<Acl, Error> {
    let mut reader = Reader { rest: head, home };
    let [act, set] = reader.array().ok_or_else(cut_off)?;
    let act = ACTS.get(usize::from(act)).copied();
    let act = act.ok_or_else(|| malformed("its performative is none of the 22"))?;
    let mut acl = Acl::new(act).content(content);
    if set & REPLY_BY != 0 {
        let time = reader.array().ok_or_else(cut_off)?;
        acl.reply_by = Some(Timestamp::from_us(i64::from_le_bytes(time)));
    }
    acl.language = reader.text_if(set & 1)?;
    acl.encoding = reader.text_if(set & 1 << 1)?;
    acl.ontology = reader.text_if(set & 1 << 2)?;
    acl.protocol = reader.text_if(set & 1 << 3)?;
    if set & 1 << 4 != 0 {
        acl.conversation_id = Some(ConversationId::parse(reader.text()?)?);
    }
    acl.reply_with = reader.text_if(set & 1 << 5)?;
    acl.in_reply_to = reader.text_if(set & 1 << 6)?;
    // The sender is the server's to say.
    for _ in 0..reader.count()? {
        reader.skip_agent()?;
    }
    acl.receivers = reader.agents()?;
    acl.reply_to = reader.agents()?;
    for _ in 0..reader.count()? {
        let (name, value) = (reader.text()?, reader.text()?);
        acl.user_parameters
            .push((name.to_owned(), value.to_owned()));
    }
    if !reader.rest.is_empty() {
        return Err(malformed("more stands behind its end"));
    }
    Ok(acl)
}

#[cold]
fn malformed(what: &str) -> Error {
    Error::new(Code::MessageMalformed, format!("the packed head: {what}"))
}

#[cold]
fn cut_off() -> Error {
    malformed("it ends early")
}

struct Reader<'a> {
    rest: &'a [u8],
    home: &'a TenantId,
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn count(&mut self) -> Result<usize, Error> {
        let count = u32::from_le_bytes(self.array().ok_or_else(cut_off)?);
        Ok(count as usize)
    }

    fn text(&mut self) -> Result<&'a str, Error> {
        let length = self.count()?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or_else(cut_off)?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| malformed("a text is not UTF-8"))
    }

    fn text_if(&mut self, set: u8) -> Result<Option<String>, Error> {
        if set == 0 {
            return Ok(None);
        }
        self.text().map(|text| Some(text.to_owned()))
    }

    fn agents(&mut self) -> Result<Vec<Identifier>, Error> {
        let count = self.count()?;
        // Not `with_capacity(count)`: a count that lies must not take memory.
        let mut agents = Vec::with_capacity(count.min(1));
        for _ in 0..count {
            agents.push(self.agent()?);
        }
        Ok(agents)
    }

    fn agent(&mut self) -> Result<Identifier, Error> {
        let id = AgentId::parse(self.text()?, self.home)?;
        let mut contact = Contact::default();
        for _ in 0..self.count()? {
            contact.addresses.push(self.text()?.to_owned());
        }
        for _ in 0..self.count()? {
            let name = self.text()?;
            let resolver = AgentId::parse(name, self.home).map_err(|error| {
                let detail = format!("resolver `{}`: {}", shown(name), error.detail);
                Error::new(Code::MessageMalformed, detail)
            })?;
            contact.resolvers.push(Identifier::new(resolver));
        }
        let is_bare = contact.addresses.is_empty() && contact.resolvers.is_empty();
        Ok(Identifier {
            id,
            contact: (!is_bare).then(|| Box::new(contact)),
        })
    }

    fn skip_agent(&mut self) -> Result<(), Error> {
        self.text()?;
        for _ in 0..2 {
            for _ in 0..self.count()? {
                self.text()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn home() -> TenantId {
        TenantId::default_tenant()
    }

    fn agent(name: &str) -> AgentId {
        AgentId::parse(name, &home()).unwrap()
    }

    fn full() -> Acl {
        let mut acl = Acl::new(Performative::AcceptProposal)
            .to(agent("a"))
            .to(agent("b@other"))
            .content(&[0_u8, 0xff, b'"'][..]);
        acl.sender = Some(agent("me").into());
        acl.reply_to.push(Identifier {
            id: agent("clerk"),
            contact: Some(Box::new(Contact {
                addresses: vec!["http://127.0.0.1:1".to_owned()],
                resolvers: vec![Identifier::new(agent("df"))],
            })),
        });
        acl.language = Some("sl".to_owned());
        acl.encoding = Some("raw".to_owned());
        acl.ontology = Some("o".to_owned());
        acl.protocol = Some("fipa-contract-net".to_owned());
        acl.conversation_id = Some(ConversationId::parse("c1").unwrap());
        acl.reply_with = Some("r1".to_owned());
        acl.in_reply_to = Some("r0".to_owned());
        acl.reply_by = Some(Timestamp::from_us(-1));
        acl.user_parameters = vec![("X-a".to_owned(), "ä".to_owned())];
        acl
    }

    fn back(acl: &Acl) -> Result<Acl, Error> {
        let bytes = Bytes::from(write(acl));
        let (content, head) = bytes.split_at(acl.content.len());
        read(Bytes::copy_from_slice(content), head, &home())
    }

    #[test]
    fn a_message_comes_back_as_it_was_but_for_its_sender() {
        for acl in [full(), Acl::new(Performative::Subscribe)] {
            let mut expected = acl.clone();
            expected.sender = None;
            let found = back(&acl).unwrap();
            // `Identifier`s are equal by name: their contacts are compared as they print.
            assert_eq!(format!("{found:?}"), format!("{expected:?}"));
        }
    }

    #[test]
    fn every_act_comes_back() {
        for act in ACTS {
            assert_eq!(back(&Acl::new(act)).unwrap().performative, act);
        }
    }

    #[test]
    fn the_layout_is_the_interfaces() {
        let mut acl = Acl::new(Performative::Request).to(agent("b"));
        acl.protocol = Some("p".to_owned());
        acl.reply_by = Some(Timestamp::from_us(2));
        acl.user_parameters = vec![("X-a".to_owned(), "1".to_owned())];
        #[rustfmt::skip]
        let expected = [
            18, 8 | 128, // request; protocol and reply-by
            2, 0, 0, 0, 0, 0, 0, 0,
            1, 0, 0, 0, b'p',
            0, 0, 0, 0, // no sender
            1, 0, 0, 0, 9, 0, 0, 0, b'b', b'@', b'd', b'e', b'f', b'a', b'u', b'l', b't',
            0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, // no reply-to
            1, 0, 0, 0, 3, 0, 0, 0, b'X', b'-', b'a', 1, 0, 0, 0, b'1',
        ];
        assert_eq!(write(&acl), expected);
    }

    #[test]
    fn a_head_cut_anywhere_or_with_more_behind_is_refused() {
        let bytes = write(&full());
        let head = &bytes[3..];
        for length in 0..head.len() {
            let error = read(Bytes::new(), &head[..length], &home()).unwrap_err();
            assert_eq!(error.code, Code::MessageMalformed, "cut at {length}");
        }
        let longer = [head, &[0]].concat();
        assert!(read(Bytes::new(), &longer, &home()).is_err());
    }

    #[test]
    fn whatever_is_read_is_written_so_that_it_reads_the_same() {
        // A tenth of these still is a head; `fuzz/` has the same rule for any bytes.
        let random = caxton_engine::port::SeededEntropy::new(7);
        let whole = write(&full())[3..].to_vec();
        let mut read_again = 0;
        for _ in 0..20_000 {
            let mut head = whole.clone();
            let place = usize::try_from(random.next_u64() % head.len() as u64).unwrap();
            head[place] ^= u8::try_from(random.next_u64() % 256).unwrap();
            let Ok(acl) = read(Bytes::new(), &head, &home()) else {
                continue;
            };
            read_again += 1;
            let again = read(Bytes::new(), &write(&acl), &home()).unwrap();
            assert_eq!(format!("{again:?}"), format!("{acl:?}"));
        }
        assert!(read_again > 1_000, "{read_again}");
    }

    #[test]
    fn heads_that_lie_are_refused() {
        for head in [
            &[22, 0, 0, 0, 0, 0][..],
            &[0, 0, 0xff, 0xff, 0xff, 0xff],
            &[0, 1, 0xff, 0xff, 0xff, 0xff, b'x'],
            &[0, 1, 1, 0, 0, 0, 0xff],
        ] {
            let error = read(Bytes::new(), head, &home()).unwrap_err();
            assert_eq!(error.code, Code::MessageMalformed, "{head:?}");
        }
    }
}
