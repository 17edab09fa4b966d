//! Writes the JSON form: fields in the order in which the contract names them.

use crate::message::{Acl, Identifier, Message};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

pub(super) fn acl(acl: &Acl) -> Map<String, Value> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    put("performative", acl.performative.as_str().into());
    if let Some(sender) = &acl.sender {
        put("sender", identifier(sender));
    }
    for (name, agents) in [("receiver", &acl.receivers), ("replyTo", &acl.reply_to)] {
        if !agents.is_empty() {
            put(name, agents.iter().map(identifier).collect());
        }
    }
    if !acl.content.is_empty() {
        match acl.text() {
            Some(text) => put("content", text.into()),
            None => put("contentBase64", STANDARD.encode(&acl.content).into()),
        }
    }
    let conversation = acl.conversation_id.as_ref().map(|id| id.as_str());
    for (name, value) in [
        ("language", acl.language.as_deref()),
        ("encoding", acl.encoding.as_deref()),
        ("ontology", acl.ontology.as_deref()),
        ("protocol", acl.protocol.as_deref()),
        ("conversationId", conversation),
        ("replyWith", acl.reply_with.as_deref()),
        ("inReplyTo", acl.in_reply_to.as_deref()),
    ] {
        if let Some(value) = value {
            put(name, value.into());
        }
    }
    if let Some(reply_by) = acl.reply_by {
        put("replyBy", reply_by.to_string().into());
    }
    if !acl.user_parameters.is_empty() {
        let parameters: Map<String, Value> = acl
            .user_parameters
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        put("userParameters", Value::Object(parameters));
    }
    body
}

pub(super) fn message(message: &Message) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("id".to_owned(), message.id.to_string().into());
    body.insert("tenant".to_owned(), message.tenant.as_str().into());
    body.extend(acl(&message.acl));
    body.insert("traceId".to_owned(), message.trace.trace_id_hex().into());
    body.insert("spanId".to_owned(), message.trace.span_id_hex().into());
    if let Some(parent) = &message.parent {
        body.insert("parentId".to_owned(), parent.to_string().into());
    }
    body.insert("hop".to_owned(), message.hop.into());
    body.insert("createTime".to_owned(), message.created.to_string().into());
    body
}

fn identifier(agent: &Identifier) -> Value {
    let mut body = Map::new();
    body.insert("name".to_owned(), agent.id.to_string().into());
    if let Some(contact) = agent.contact.as_deref() {
        if !contact.addresses.is_empty() {
            let addresses: Value = contact.addresses.iter().map(String::as_str).collect();
            body.insert("addresses".to_owned(), addresses);
        }
        if !contact.resolvers.is_empty() {
            let resolvers = contact.resolvers.iter().map(identifier).collect();
            body.insert("resolvers".to_owned(), resolvers);
        }
    }
    Value::Object(body)
}
