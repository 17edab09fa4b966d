//! What a unit does, gathered before its operations are judged one by one: whether a message may come or
//! go depends on what else the same unit says.

use super::cast;
use caxton_core::{AgentName, MailboxId, MessageId};
use caxton_engine::port::store::{Op, Unit};
use std::collections::{BTreeMap, BTreeSet};

/// What a unit does, gathered before it is judged operation by operation.
pub(super) struct Facts<'a> {
    pub(super) unit: &'a Unit,
    pub(super) acked: BTreeSet<(&'a MailboxId, MessageId)>,
    /// Message marked as handled in the state, with the value written.
    pub(super) marks: BTreeMap<(&'a MailboxId, &'a str), u64>,
    pub(super) begun: BTreeSet<MessageId>,
    pub(super) buried: BTreeSet<(MessageId, &'a AgentName)>,
    pub(super) answered: BTreeSet<(MessageId, &'a AgentName)>,
    pub(super) resent: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn of(unit: &'a Unit) -> Self {
        let mut facts = Self {
            unit,
            acked: BTreeSet::new(),
            marks: BTreeMap::new(),
            begun: BTreeSet::new(),
            buried: BTreeSet::new(),
            answered: BTreeSet::new(),
            resent: false,
        };
        for op in &unit.ops {
            match op {
                Op::Ack { mailbox, message } => {
                    facts.acked.insert((mailbox, *message));
                }
                Op::StatePut {
                    mailbox,
                    key,
                    value,
                } if key.starts_with("m/") => {
                    facts
                        .marks
                        .insert((mailbox, &key[2..]), cast::number_of(value));
                }
                Op::CallBegin { request, .. } => {
                    facts.begun.insert(request.id);
                }
                Op::CallEnd { call, answer } => {
                    facts.answered.insert((answer.id, &call.mailbox.agent.name));
                }
                Op::Bury { letter, .. } => {
                    facts
                        .buried
                        .insert((letter.id.message, &letter.id.receiver));
                }
                Op::DeadLetterRemove { .. } => facts.resent = true,
                _ => {}
            }
        }
        facts
    }

    /// Whether the unit is what came of handling messages in this mailbox.
    pub(super) fn handles_in(&self, mailbox: &MailboxId) -> bool {
        self.marks.keys().any(|(marked, _)| *marked == mailbox)
    }
}
