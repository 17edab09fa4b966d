//! Dead letters.

use caxton_api::v1;
use caxton_core::Message;
use caxton_engine::port::store::{DeadLetter, Recorded};
use std::sync::Arc;

use super::message::recorded;
use super::time::wire;

/// A dead letter on the wire, with its message.
pub(crate) fn dead_letter(letter: &DeadLetter, message: &Arc<Message>) -> v1::DeadLetter {
    let mut message = recorded(&Recorded {
        message: Arc::clone(message),
        open: vec![letter.status()],
    });
    // Only this letter's receiver is known here; the message itself tells of the others.
    let dead = letter.mailbox.agent.to_string();
    message.deliveries.retain(|delivery| delivery.agent == dead);
    v1::DeadLetter {
        id: letter.id.to_string(),
        tenant: letter.mailbox.agent.tenant.to_string(),
        agent: dead,
        reason: letter.reason.clone(),
        code: letter.code.clone(),
        attempts: letter.attempts,
        message: Some(message),
        create_time: Some(wire(letter.buried)),
    }
}
