//! A conversation's summary. Its id is the row's key and is not repeated.

use super::Malformed;
use super::message::{read_agent, write_agent};
use super::reader::Reader;
use super::writer::Writer;
use caxton_core::conversation::Conversation;
use caxton_core::{ConversationId, Performative, TenantId, Timestamp};

const VERSION: u8 = 1;

pub(crate) fn write_conversation(summary: &Conversation, home: &TenantId) -> Vec<u8> {
    let mut w = Writer(Vec::with_capacity(64));
    w.byte(VERSION);
    w.number(summary.messages);
    w.signed(summary.first.as_us());
    w.signed(summary.last.as_us());
    let act = Performative::ALL
        .iter()
        .position(|act| *act == summary.last_performative);
    w.number(act.unwrap_or(0) as u64);
    match &summary.protocol {
        None => w.byte(0),
        Some(protocol) => {
            w.byte(1);
            w.text(protocol);
        }
    }
    w.number(summary.participants.len() as u64);
    for agent in &summary.participants {
        write_agent(&mut w, agent, home);
    }
    w.0
}

pub(crate) fn read_conversation(
    bytes: &[u8],
    id: &str,
    home: &TenantId,
) -> Result<Conversation, Malformed> {
    let mut r = Reader(bytes);
    if r.byte()? != VERSION {
        return Err(Malformed("unknown version of a conversation"));
    }
    let messages = r.number()?;
    let first = Timestamp::from_us(r.signed()?);
    let last = Timestamp::from_us(r.signed()?);
    let act = usize::try_from(r.number()?).map_err(|_| Malformed("performative"))?;
    let last_performative = *Performative::ALL
        .get(act)
        .ok_or(Malformed("performative"))?;
    let protocol = match r.byte()? {
        0 => None,
        1 => Some(r.text()?.to_owned()),
        _ => return Err(Malformed("protocol")),
    };
    let mut participants = Vec::new();
    for _ in 0..r.count()? {
        participants.push(read_agent(&mut r, home)?);
    }
    r.end()?;
    Ok(Conversation {
        id: ConversationId::parse(id).map_err(|_| Malformed("conversation id"))?,
        protocol,
        participants,
        messages,
        first,
        last,
        last_performative,
    })
}
