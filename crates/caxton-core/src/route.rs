//! Where a message goes, decided without touching anything: the engine gathers what the decision
//! needs, asks [`decide`], and acts on the answer.

use crate::agent::{AgentId, MailboxId, MailboxKey};
use crate::error::{Code, Error};
use crate::lifecycle::Phase;
use crate::manifest::{MailboxMode, Manifest};
use crate::message::Message;

/// Longest chain of messages that cause each other, where the operator sets no other.
pub const HOPS_MAX: u16 = 128;

/// What the decision needs to know of a receiver.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub phase: Phase,
    pub manifest: &'a Manifest,
}

/// The mailbox a message goes to, or why not. `message_bytes` is [`crate::Acl::bytes`], counted once
/// by the caller for all receivers.
pub fn decide(
    message: &Message,
    message_bytes: usize,
    receiver: &AgentId,
    target: Option<Target<'_>>,
    hops_max: u16,
) -> Result<MailboxKey, Error> {
    // Another tenant's agent and one that does not exist answer alike.
    let Some(target) = target.filter(|_| receiver.tenant == message.tenant) else {
        return Err(Error::new(
            Code::ReceiverUnknown,
            format!("there is no agent {receiver}"),
        ));
    };
    if message.hop > hops_max {
        return Err(Error::new(
            Code::HopLimit,
            format!("more than {hops_max} messages caused each other"),
        ));
    }
    if target.phase != Phase::Running {
        return Err(Error::new(
            Code::ReceiverStopped,
            format!("agent {receiver} is {}", target.phase),
        ));
    }
    let limit = target.manifest.limits.message_bytes_max;
    if message_bytes as u64 > limit {
        return Err(Error::new(
            Code::MessageTooLarge,
            format!("the message has {message_bytes} bytes, {receiver} takes {limit}"),
        ));
    }
    let key = match (
        target.manifest.delivery.mailbox,
        &message.acl.conversation_id,
    ) {
        (MailboxMode::Conversation, Some(id)) => MailboxKey::Conversation(id.clone()),
        _ => MailboxKey::Agent,
    };
    if let Some(waiting) = &message.waiting
        && waiting
            .iter()
            .any(|mailbox| is_mailbox(mailbox, receiver, &key))
    {
        return Err(Error::new(
            Code::CallCircle,
            format!("agent {receiver} waits for the very call this message belongs to"),
        ));
    }
    Ok(key)
}

fn is_mailbox(mailbox: &MailboxId, agent: &AgentId, key: &MailboxKey) -> bool {
    mailbox.agent == *agent && mailbox.key == *key
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::agent::AgentName;
    use crate::id::{ConversationId, MessageId};
    use crate::message::{Acl, Performative};
    use crate::tenant::TenantId;
    use crate::time::Timestamp;
    use crate::trace::TraceContext;

    fn message(hop: u16) -> Message {
        Message {
            id: MessageId::from_bytes([0; 16]),
            tenant: TenantId::default_tenant(),
            trace: TraceContext {
                trace_id: [1; 16],
                span_id: [1; 8],
                sampled: false,
            },
            parent: None,
            hop,
            waiting: None,
            created: Timestamp::EPOCH,
            acl: Acl::new(Performative::Inform),
        }
    }

    fn agent(text: &str) -> AgentId {
        AgentId::parse(text, &TenantId::default_tenant()).unwrap()
    }

    #[test]
    fn refusals() {
        let manifest = Manifest::named(AgentName::parse("b").unwrap());
        let running = Some(Target {
            phase: Phase::Running,
            manifest: &manifest,
        });
        let stopped = Some(Target {
            phase: Phase::Stopped,
            manifest: &manifest,
        });
        let mut circle = message(0);
        circle.waiting = Some(
            [MailboxId {
                agent: agent("b"),
                key: MailboxKey::Agent,
            }]
            .into_iter()
            .collect(),
        );
        let table = [
            (message(0), 10, "b", running, None),
            (message(0), 10, "b", None, Some(Code::ReceiverUnknown)),
            (
                message(0),
                10,
                "b@other",
                running,
                Some(Code::ReceiverUnknown),
            ),
            (message(HOPS_MAX), 10, "b", running, None),
            (
                message(HOPS_MAX + 1),
                10,
                "b",
                running,
                Some(Code::HopLimit),
            ),
            (message(0), 10, "b", stopped, Some(Code::ReceiverStopped)),
            (
                message(0),
                (1 << 20) + 1,
                "b",
                running,
                Some(Code::MessageTooLarge),
            ),
            (circle, 10, "b", running, Some(Code::CallCircle)),
        ];
        for (message, bytes, to, target, expected) in table {
            let got = decide(&message, bytes, &agent(to), target, HOPS_MAX)
                .err()
                .map(|error| error.code);
            assert_eq!(got, expected, "{to}");
        }
    }

    #[test]
    fn a_conversation_mailbox_needs_a_conversation() {
        let mut manifest = Manifest::named(AgentName::parse("b").unwrap());
        manifest.delivery.mailbox = MailboxMode::Conversation;
        let target = Some(Target {
            phase: Phase::Running,
            manifest: &manifest,
        });
        let mut message = message(0);
        assert_eq!(
            decide(&message, 1, &agent("b"), target, HOPS_MAX).unwrap(),
            MailboxKey::Agent
        );
        let id = ConversationId::parse("c1").unwrap();
        message.acl.conversation_id = Some(id.clone());
        assert_eq!(
            decide(&message, 1, &agent("b"), target, HOPS_MAX).unwrap(),
            MailboxKey::Conversation(id)
        );
    }
}
