//! Conversations.

use caxton_api::v1;
use caxton_core::conversation::Conversation;
use caxton_core::{Performative, TenantId};

use super::time::wire;

/// The states a conversation can be in.
pub(crate) const STATES: [&str; 4] = ["active", "completed", "failed", "cancelled"];

/// A conversation on the wire.
pub(crate) fn conversation(it: &Conversation, tenant: &TenantId) -> v1::Conversation {
    let initiator = it.participants.first();
    v1::Conversation {
        id: it.id.to_string(),
        tenant: tenant.to_string(),
        protocol: it.protocol.clone(),
        state: state(it).to_owned(),
        initiator: initiator.map(ToString::to_string).unwrap_or_default(),
        participants: it.participants.iter().map(ToString::to_string).collect(),
        messages_total: it.messages,
        create_time: Some(wire(it.first)),
        update_time: Some(wire(it.last)),
    }
}

/// How a conversation stands, by the last thing said in it. Only an interaction protocol has an end
/// (FIPA SC00025-SC00036: an `inform` of the result, a `failure`, or all refused); without one a
/// conversation is always active.
pub(crate) fn state(it: &Conversation) -> &'static str {
    if it.protocol.is_none() {
        return "active";
    }
    match it.last_performative {
        Performative::Inform | Performative::InformRef | Performative::InformIf => "completed",
        Performative::Failure
        | Performative::Refuse
        | Performative::NotUnderstood
        | Performative::RejectProposal => "failed",
        Performative::Cancel => "cancelled",
        _ => "active",
    }
}
