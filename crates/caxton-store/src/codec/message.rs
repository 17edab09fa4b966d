//! A message and the mailboxes it was put into. The message's tenant is the row's and is not
//! repeated; agents of that tenant cost only their local name.

use super::reader::Reader;
use super::writer::Writer;
use super::{Malformed, RESOLVER_DEPTH_MAX};
use bytes::Bytes;
use caxton_core::message::Contact;
use caxton_core::{
    Acl, AgentId, AgentName, ConversationId, Identifier, MailboxId, MailboxKey, Message, MessageId,
    Performative, TenantId, Timestamp, TraceContext,
};
use std::sync::Arc;

const VERSION: u8 = 1;

/// Which optional parts follow, one bit each.
mod has {
    pub(super) const SAMPLED: u64 = 1;
    pub(super) const PARENT: u64 = 1 << 1;
    pub(super) const WAITING: u64 = 1 << 2;
    pub(super) const SENDER: u64 = 1 << 3;
    pub(super) const REPLY_TO: u64 = 1 << 4;
    pub(super) const LANGUAGE: u64 = 1 << 5;
    pub(super) const ENCODING: u64 = 1 << 6;
    pub(super) const ONTOLOGY: u64 = 1 << 7;
    pub(super) const PROTOCOL: u64 = 1 << 8;
    pub(super) const CONVERSATION: u64 = 1 << 9;
    pub(super) const REPLY_WITH: u64 = 1 << 10;
    pub(super) const IN_REPLY_TO: u64 = 1 << 11;
    pub(super) const REPLY_BY: u64 = 1 << 12;
    pub(super) const USER_PARAMETERS: u64 = 1 << 13;
    pub(super) const ALL: u64 = (1 << 14) - 1;
}

/// What a message's row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) message: Arc<Message>,
    pub(crate) mailboxes: Vec<MailboxId>,
}

pub(crate) fn write_body(
    message: &Message,
    mailboxes: &[&MailboxId],
) -> Result<Vec<u8>, Malformed> {
    let acl = &message.acl;
    let home = &message.tenant;
    let mut w = Writer(Vec::with_capacity(160 + acl.bytes()));
    w.byte(VERSION);
    w.raw(message.id.as_bytes());
    w.raw(&message.trace.trace_id);
    w.raw(&message.trace.span_id);
    w.signed(message.created.as_us());
    w.number(u64::from(message.hop));
    let act = Performative::ALL
        .iter()
        .position(|a| *a == acl.performative);
    w.number(act.unwrap_or(0) as u64);
    w.number(parts(message));
    if let Some(parent) = &message.parent {
        w.raw(parent.as_bytes());
    }
    if let Some(waiting) = &message.waiting {
        write_mailboxes(&mut w, waiting.iter(), home);
    }
    if let Some(sender) = &acl.sender {
        write_identifier(&mut w, sender, home, 0)?;
    }
    write_identifiers(&mut w, &acl.receivers, home, 0)?;
    if !acl.reply_to.is_empty() {
        write_identifiers(&mut w, &acl.reply_to, home, 0)?;
    }
    let conversation = acl.conversation_id.as_ref().map(ConversationId::as_str);
    let texts = [
        acl.language.as_deref(),
        acl.encoding.as_deref(),
        acl.ontology.as_deref(),
        acl.protocol.as_deref(),
        conversation,
        acl.reply_with.as_deref(),
        acl.in_reply_to.as_deref(),
    ];
    texts.into_iter().flatten().for_each(|text| w.text(text));
    if let Some(reply_by) = acl.reply_by {
        w.signed(reply_by.as_us());
    }
    if !acl.user_parameters.is_empty() {
        w.number(acl.user_parameters.len() as u64);
        for (name, value) in &acl.user_parameters {
            w.text(name);
            w.text(value);
        }
    }
    w.bytes(&acl.content);
    write_mailboxes(&mut w, mailboxes.iter().copied(), home);
    Ok(w.0)
}

fn parts(message: &Message) -> u64 {
    let acl = &message.acl;
    let bit = |there: bool, bit: u64| if there { bit } else { 0 };
    bit(message.trace.sampled, has::SAMPLED)
        | bit(message.parent.is_some(), has::PARENT)
        | bit(message.waiting.is_some(), has::WAITING)
        | bit(acl.sender.is_some(), has::SENDER)
        | bit(!acl.reply_to.is_empty(), has::REPLY_TO)
        | bit(acl.language.is_some(), has::LANGUAGE)
        | bit(acl.encoding.is_some(), has::ENCODING)
        | bit(acl.ontology.is_some(), has::ONTOLOGY)
        | bit(acl.protocol.is_some(), has::PROTOCOL)
        | bit(acl.conversation_id.is_some(), has::CONVERSATION)
        | bit(acl.reply_with.is_some(), has::REPLY_WITH)
        | bit(acl.in_reply_to.is_some(), has::IN_REPLY_TO)
        | bit(acl.reply_by.is_some(), has::REPLY_BY)
        | bit(!acl.user_parameters.is_empty(), has::USER_PARAMETERS)
}

pub(crate) fn read_body(bytes: &[u8], tenant: &TenantId) -> Result<Body, Malformed> {
    let mut r = Reader(bytes);
    if r.byte()? != VERSION {
        return Err(Malformed("unknown version of a message"));
    }
    let id = MessageId::from_bytes(r.array()?);
    let (trace_id, span_id) = (r.array()?, r.array()?);
    let created = Timestamp::from_us(r.signed()?);
    let hop = u16::try_from(r.number()?).map_err(|_| Malformed("hop"))?;
    let act = usize::try_from(r.number()?).map_err(|_| Malformed("performative"))?;
    let performative = *Performative::ALL
        .get(act)
        .ok_or(Malformed("performative"))?;
    let parts = r.number()?;
    if parts & !has::ALL != 0 {
        return Err(Malformed("unknown parts"));
    }
    let has = |part: u64| parts & part != 0;
    let parent = match has(has::PARENT) {
        true => Some(MessageId::from_bytes(r.array()?)),
        false => None,
    };
    let waiting = match has(has::WAITING) {
        true => Some(Arc::from(read_mailboxes(&mut r, tenant)?)),
        false => None,
    };
    let sender = match has(has::SENDER) {
        true => Some(read_identifier(&mut r, tenant, 0)?),
        false => None,
    };
    let receivers = read_identifiers(&mut r, tenant, 0)?;
    let reply_to = match has(has::REPLY_TO) {
        true => some(read_identifiers(&mut r, tenant, 0)?)?,
        false => Vec::new(),
    };
    let mut text = |part| match has(part) {
        true => r.text().map(|text| Some(text.to_owned())),
        false => Ok(None),
    };
    let mut acl = Acl {
        sender,
        receivers,
        reply_to,
        language: text(has::LANGUAGE)?,
        encoding: text(has::ENCODING)?,
        ontology: text(has::ONTOLOGY)?,
        protocol: text(has::PROTOCOL)?,
        conversation_id: match text(has::CONVERSATION)? {
            Some(id) => Some(conversation(&id)?),
            None => None,
        },
        reply_with: text(has::REPLY_WITH)?,
        in_reply_to: text(has::IN_REPLY_TO)?,
        ..Acl::new(performative)
    };
    if has(has::REPLY_BY) {
        acl.reply_by = Some(Timestamp::from_us(r.signed()?));
    }
    if has(has::USER_PARAMETERS) {
        for _ in 0..r.count()? {
            let parameter = (r.text()?.to_owned(), r.text()?.to_owned());
            acl.user_parameters.push(parameter);
        }
        acl.user_parameters = some(acl.user_parameters)?;
    }
    acl.content = Bytes::copy_from_slice(r.bytes()?);
    let mailboxes = read_mailboxes(&mut r, tenant)?;
    r.end()?;
    let trace = TraceContext {
        trace_id,
        span_id,
        sampled: has(has::SAMPLED),
    };
    let message = Message {
        id,
        tenant: tenant.clone(),
        trace,
        parent,
        hop,
        waiting,
        created,
        acl,
    };
    Ok(Body {
        message: Arc::new(message),
        mailboxes,
    })
}

/// A list that is only written where it has something.
fn some<T>(list: Vec<T>) -> Result<Vec<T>, Malformed> {
    if list.is_empty() {
        return Err(Malformed("an empty list"));
    }
    Ok(list)
}

pub(super) fn conversation(text: &str) -> Result<ConversationId, Malformed> {
    ConversationId::parse(text).map_err(|_| Malformed("conversation id"))
}

/// The local name, and after it the tenant's where it is another one: empty for home.
pub(super) fn write_agent(w: &mut Writer, agent: &AgentId, home: &TenantId) {
    w.text(agent.name.as_str());
    if agent.tenant == *home {
        w.text("");
    } else {
        w.text(agent.tenant.as_str());
    }
}

pub(super) fn read_agent(r: &mut Reader<'_>, home: &TenantId) -> Result<AgentId, Malformed> {
    let name = AgentName::parse(r.text()?).map_err(|_| Malformed("agent name"))?;
    let tenant = match r.text()? {
        "" => home.clone(),
        other if other == home.as_str() => return Err(Malformed("home is written as empty")),
        other => TenantId::parse(other).map_err(|_| Malformed("tenant id"))?,
    };
    Ok(AgentId::new(tenant, name))
}

fn write_mailboxes<'a>(
    w: &mut Writer,
    mailboxes: impl ExactSizeIterator<Item = &'a MailboxId>,
    home: &TenantId,
) {
    w.number(mailboxes.len() as u64);
    for mailbox in mailboxes {
        write_agent(w, &mailbox.agent, home);
        w.text(mailbox.key.as_str());
    }
}

fn read_mailboxes(r: &mut Reader<'_>, home: &TenantId) -> Result<Vec<MailboxId>, Malformed> {
    let mut mailboxes = Vec::new();
    for _ in 0..r.count()? {
        let agent = read_agent(r, home)?;
        let key = MailboxKey::parse(r.text()?).map_err(|_| Malformed("mailbox key"))?;
        mailboxes.push(MailboxId { agent, key });
    }
    Ok(mailboxes)
}

fn write_identifiers(
    w: &mut Writer,
    identifiers: &[Identifier],
    home: &TenantId,
    depth: usize,
) -> Result<(), Malformed> {
    w.number(identifiers.len() as u64);
    identifiers
        .iter()
        .try_for_each(|identifier| write_identifier(w, identifier, home, depth))
}

fn read_identifiers(
    r: &mut Reader<'_>,
    home: &TenantId,
    depth: usize,
) -> Result<Vec<Identifier>, Malformed> {
    let count = r.count()?;
    let mut identifiers = Vec::new();
    for _ in 0..count {
        identifiers.push(read_identifier(r, home, depth)?);
    }
    Ok(identifiers)
}

fn write_identifier(
    w: &mut Writer,
    identifier: &Identifier,
    home: &TenantId,
    depth: usize,
) -> Result<(), Malformed> {
    if depth > RESOLVER_DEPTH_MAX {
        return Err(Malformed("resolvers are nested too deep"));
    }
    write_agent(w, &identifier.id, home);
    let Some(contact) = &identifier.contact else {
        w.byte(0);
        return Ok(());
    };
    w.byte(1);
    w.number(contact.addresses.len() as u64);
    contact.addresses.iter().for_each(|text| w.text(text));
    write_identifiers(w, &contact.resolvers, home, depth + 1)
}

fn read_identifier(
    r: &mut Reader<'_>,
    home: &TenantId,
    depth: usize,
) -> Result<Identifier, Malformed> {
    if depth > RESOLVER_DEPTH_MAX {
        return Err(Malformed("resolvers are nested too deep"));
    }
    let id = read_agent(r, home)?;
    let contact = match r.byte()? {
        0 => None,
        1 => {
            let mut contact = Contact::default();
            for _ in 0..r.count()? {
                contact.addresses.push(r.text()?.to_owned());
            }
            contact.resolvers = read_identifiers(r, home, depth + 1)?;
            Some(Box::new(contact))
        }
        _ => return Err(Malformed("contact")),
    };
    Ok(Identifier { id, contact })
}
