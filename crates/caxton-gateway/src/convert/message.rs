//! Messages. Reading one collects every fault, so that one answer names all that is to be mended.

use std::collections::HashMap;

use caxton_api::{v1, wkt};
use caxton_core::error::{Code, Error};
use caxton_core::message::Contact;
use caxton_core::{
    Acl, AgentId, ConversationId, Identifier, Message, MessageId, Performative, TenantId, Timestamp,
};
use caxton_engine::port::store::{DeliveryState, DeliveryStatus, PAGE_ROWS_MAX, Recorded};

use super::time;

/// A draft as a message's parameters; a bare name means an agent of `home`.
///
/// # Errors
/// The first fault's code, with every faulty field. Whether the parameters may be sent is
/// `Acl::validate`'s business.
pub(crate) fn acl(draft: v1::MessageDraft, home: &TenantId) -> Result<Acl, Error> {
    let mut faults = Faults::default();
    let performative = match draft.performative.as_str() {
        "" => faults.found("performative", Code::MessageMalformed, "is missing"),
        act => faults.check("performative", Performative::parse(act)),
    };
    let mut acl = Acl::new(performative.unwrap_or(Performative::NotUnderstood));
    let mut identifiers = |field: &str, given: Vec<v1::AgentId>| {
        let given = given.into_iter().enumerate();
        given
            .filter_map(|(at, it)| faults.identifier(&format!("{field}[{at}]"), it, home))
            .collect::<Vec<_>>()
    };
    acl.receivers = identifiers("receiver", draft.receiver);
    acl.reply_to = identifiers("replyTo", draft.reply_to);
    acl.sender = draft
        .sender
        .and_then(|it| faults.identifier("sender", it, home));
    acl.content = match draft.body {
        Some(v1::message_draft::Body::Content(text)) => text.into(),
        Some(v1::message_draft::Body::ContentBase64(bytes)) => bytes,
        None => bytes::Bytes::new(),
    };
    acl.language = draft.language;
    acl.encoding = draft.encoding;
    acl.ontology = draft.ontology;
    acl.protocol = draft.protocol;
    acl.reply_with = draft.reply_with;
    acl.in_reply_to = draft.in_reply_to;
    acl.conversation_id = draft
        .conversation_id
        .and_then(|it| faults.check("conversationId", ConversationId::parse(&it)));
    acl.reply_by = draft.reply_by.and_then(|it| faults.time("replyBy", it));
    acl.user_parameters = draft.user_parameters.into_iter().collect();
    faults.none(acl)
}

#[derive(Debug, Default)]
struct Faults(Vec<(Code, String, String)>);

impl Faults {
    fn found<T>(&mut self, field: &str, code: Code, what: impl Into<String>) -> Option<T> {
        self.0.push((code, field.to_owned(), what.into()));
        None
    }

    fn check<T>(&mut self, field: &str, parsed: Result<T, Error>) -> Option<T> {
        parsed
            .map_err(|error| self.0.push((error.code, field.to_owned(), error.detail)))
            .ok()
    }

    fn identifier(&mut self, field: &str, it: v1::AgentId, home: &TenantId) -> Option<Identifier> {
        let name = format!("{field}.name");
        if it.name.is_empty() {
            return self.found(&name, Code::MessageMalformed, "is missing");
        }
        let id = self.check(&name, AgentId::parse(&it.name, home));
        // As deep as the readers of JSON and protobuf let a stranger nest; core's own bound is less.
        let resolvers = it.resolvers.into_iter().enumerate();
        let resolvers = resolvers
            .filter_map(|(at, it)| self.identifier(&format!("{field}.resolvers[{at}]"), it, home));
        let contact = Contact {
            resolvers: resolvers.collect(),
            addresses: it.addresses,
        };
        let bare = contact.addresses.is_empty() && contact.resolvers.is_empty();
        Some(Identifier {
            id: id?,
            contact: (!bare).then(|| Box::new(contact)),
        })
    }

    fn time(&mut self, field: &str, it: wkt::Timestamp) -> Option<Timestamp> {
        match time::core(it) {
            Some(time) => Some(time),
            None => self.found(
                field,
                Code::TimeMalformed,
                "is outside of the years 1 to 9999",
            ),
        }
    }

    fn none(self, acl: Acl) -> Result<Acl, Error> {
        let Some((code, ..)) = self.0.first() else {
            return Ok(acl);
        };
        let each = self
            .0
            .iter()
            .map(|(_, field, what)| format!("{field}: {what}"));
        let detail = each.collect::<Vec<_>>().join("; ");
        let fields = self.0.iter();
        let fields = fields.map(|(_, field, what)| (field.clone(), what.clone()));
        Err(Error::new(*code, detail).with_fields(fields.collect()))
    }
}

/// A message on the wire, without what became of it.
pub(crate) fn message(message: &Message) -> v1::Message {
    let acl = &message.acl;
    let body = match acl.text() {
        Some(text) => v1::message::Body::Content(text.to_owned()),
        None => v1::message::Body::ContentBase64(acl.content.clone()),
    };
    v1::Message {
        id: message.id.to_string(),
        tenant: message.tenant.to_string(),
        performative: acl.performative.as_str().to_owned(),
        sender: acl.sender.as_ref().map(identifier),
        receiver: acl.receivers.iter().map(identifier).collect(),
        reply_to: acl.reply_to.iter().map(identifier).collect(),
        body: Some(body),
        language: acl.language.clone(),
        encoding: acl.encoding.clone(),
        ontology: acl.ontology.clone(),
        protocol: acl.protocol.clone(),
        conversation_id: acl.conversation_id.as_ref().map(ToString::to_string),
        reply_with: acl.reply_with.clone(),
        in_reply_to: acl.in_reply_to.clone(),
        reply_by: acl.reply_by.map(time::wire),
        user_parameters: acl.user_parameters.iter().cloned().collect(),
        trace_id: message.trace.trace_id_hex(),
        span_id: message.trace.span_id_hex(),
        parent_id: message.parent.map(|id| id.to_string()),
        hop: u32::from(message.hop),
        create_time: Some(time::wire(message.created)),
        deliveries: Vec::new(),
    }
}

/// A recorded message with what became of it at each receiver that has a mailbox.
pub(crate) fn recorded(recorded: &Recorded) -> v1::Message {
    let mut wire = message(&recorded.message);
    wire.deliveries = recorded.open.iter().map(open).collect();
    let receivers = recorded.message.acl.receivers.iter();
    for id in receivers.map(|receiver| &receiver.id) {
        let is_open = recorded.open.iter().any(|it| it.mailbox.agent == *id);
        if !is_open && !id.name.is_outside() {
            wire.deliveries.push(v1::Delivery {
                agent: id.to_string(),
                state: "handled".to_owned(),
                ..v1::Delivery::default()
            });
        }
    }
    wire
}

fn open(status: &DeliveryStatus) -> v1::Delivery {
    let state = match status.state {
        DeliveryState::Pending => "pending",
        DeliveryState::Dead => "dead",
    };
    let code = status
        .error
        .as_deref()
        .and_then(|text| text.split(':').next());
    v1::Delivery {
        agent: status.mailbox.agent.to_string(),
        mailbox: status.mailbox.key.as_str().to_owned(),
        state: state.to_owned(),
        attempts: status.attempts,
        error_code: code
            .filter(|code| Code::parse(code).is_some())
            .map(str::to_owned),
        error: status.error.clone(),
        update_time: None,
    }
}

fn identifier(identifier: &Identifier) -> v1::AgentId {
    let contact = identifier.contact.as_ref();
    let resolvers = contact.iter().flat_map(|it| &it.resolvers);
    v1::AgentId {
        name: identifier.id.to_string(),
        resolvers: resolvers.map(self::identifier).collect(),
        addresses: contact.map(|it| it.addresses.clone()).unwrap_or_default(),
    }
}

/// The messages of one trace as a tree, depth first, each after the one that caused it. What has a
/// parent outside of the trace (too old, or cut off) is a root.
pub(crate) fn trace(messages: &[Recorded]) -> v1::GetMessageTraceResponse {
    let known: HashMap<MessageId, usize> = messages
        .iter()
        .enumerate()
        .map(|(at, it)| (it.message.id, at))
        .collect();
    let mut children: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for (at, it) in messages.iter().enumerate() {
        let parent = it.message.parent.and_then(|id| known.get(&id).copied());
        // A message cannot cause itself or one before it; a store that says so is not believed.
        let parent = parent.filter(|parent| *parent < at);
        children.entry(parent).or_default().push(at);
    }
    let mut steps = Vec::with_capacity(messages.len());
    // A stack in place of recursion: a chain may be as long as the trace.
    let mut stack: Vec<(usize, u32)> = Vec::new();
    let push = |stack: &mut Vec<(usize, u32)>, parent: Option<usize>, depth: u32| {
        let below = children.get(&parent).into_iter().flatten();
        stack.extend(below.rev().map(|at| (*at, depth)));
    };
    push(&mut stack, None, 0);
    while let Some((at, depth)) = stack.pop() {
        if let Some(it) = messages.get(at) {
            steps.push(v1::TraceStep {
                depth,
                message: Some(recorded(it)),
            });
        }
        push(&mut stack, Some(at), depth + 1);
    }
    let first = messages.first();
    v1::GetMessageTraceResponse {
        trace_id: first
            .map(|it| it.message.trace.trace_id_hex())
            .unwrap_or_default(),
        steps,
        truncated: messages.len() >= PAGE_ROWS_MAX as usize,
    }
}

#[cfg(test)]
mod tests;
