//! What the world asks of the ledger and tells it: what clients and handlers were told, and what must be
//! left when all is at rest.

use super::{Ledger, Rule, cast, rule};
use caxton_core::{AgentName, Error, MailboxId, Message, MessageId};
use caxton_engine::port::store::{CallId, Op, Unit};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Ledger {
    /// The recorded answer of a call.
    pub(in crate::sim) fn answer(&self, call: &CallId) -> Option<MessageId> {
        self.calls.get(call)?.answer
    }

    pub(in crate::sim) fn call_ended(
        &self,
        call: &CallId,
        recorded: Option<MessageId>,
        got: &Result<Arc<Message>, Error>,
    ) -> Rule {
        if !cast::is_durable(&call.mailbox.agent.name) {
            return Ok(());
        }
        match (recorded, got) {
            (Some(answer), Err(error)) if error.code == caxton_core::Code::CallTimeout => Err(
                format!("call {call:?} times out although its answer {answer} is recorded"),
            ),
            (_, Ok(got)) if self.answer(call) != Some(got.id) => Err(format!(
                "call {call:?} gets {}, recorded is {:?}",
                got.id,
                self.answer(call)
            )),
            _ => Ok(()),
        }
    }

    /// A client was told that its message is accepted.
    pub(in crate::sim) fn acknowledged(
        &mut self,
        message: MessageId,
        tag: &str,
        to: &[&str],
    ) -> Rule {
        let durable = to.iter().any(|name| cast::is_durable(&cast::name(name)));
        rule(!durable || self.tags.get(tag) == Some(&message), || {
            format!("{tag} is acknowledged as {message} and not recorded")
        })?;
        self.acknowledged.insert(message);
        Ok(())
    }

    /// A client was told that its message is refused.
    pub(in crate::sim) fn refused(&mut self, tag: &str, code: &str) -> Rule {
        self.refused_tags.insert(tag.to_owned());
        rule(!self.tags.contains_key(tag), || {
            format!("{tag} is refused with {code} and recorded")
        })
    }

    /// Messages that wait in an agent's mailboxes.
    pub(in crate::sim) fn waiting(&self, agent: &AgentName) -> usize {
        let of = |mailbox: &&MailboxId| mailbox.agent.name == *agent;
        let inboxes = self.inbox.iter().filter(|(mailbox, _)| of(mailbox));
        inboxes.map(|(_, inbox)| inbox.len()).sum()
    }

    /// Timers set by an agent.
    pub(in crate::sim) fn timers_of(&self, agent: &AgentName) -> usize {
        let of = |(mailbox, _): &&(MailboxId, String)| mailbox.agent.name == *agent;
        self.timers.keys().filter(of).count()
    }

    pub(in crate::sim) fn handled_count(&self) -> usize {
        self.handled.len()
    }

    pub(in crate::sim) fn dead_letters(&self) -> impl Iterator<Item = &(MessageId, AgentName)> {
        self.dead_letters.iter()
    }

    /// What is left when the world has come to rest with every agent running.
    pub(in crate::sim) fn at_rest(&self) -> Rule {
        let open = self.inbox.iter().find(|(_, inbox)| !inbox.is_empty());
        rule(open.is_none(), || format!("unhandled at the end: {open:?}"))?;
        let call = self.calls.keys().next();
        rule(call.is_none(), || format!("never forgotten: {call:?}"))?;
        let timer = self.timers.keys().next();
        rule(timer.is_none(), || format!("never fired: {timer:?}"))
    }

    /// What the counter of each mailbox must say.
    pub(in crate::sim) fn counts(&self) -> &BTreeMap<MailboxId, u64> {
        &self.counts
    }

    /// A unit in one line.
    pub(in crate::sim) fn shown(&mut self, unit: &Unit) -> String {
        let mut text = String::from("disk:");
        for op in &unit.ops {
            let part = match op {
                Op::Deliver { message, mailboxes } => {
                    let parent = message.parent.map(|parent| self.short(parent));
                    let parent = parent.unwrap_or_default();
                    let act = message.acl.performative;
                    let content = message.acl.text().unwrap_or_default();
                    let content: String = content.chars().take(8).collect();
                    let short = self.short(message.id);
                    format!("{short}<{parent} {act} {content} -> {mailboxes:?}")
                }
                Op::Ack { mailbox, message } => format!("ack {} {mailbox}", self.short(*message)),
                Op::Attempt {
                    mailbox,
                    message,
                    attempts,
                } => format!("try {attempts} of {} {mailbox}", self.short(*message)),
                Op::Bury { letter, .. } => {
                    let short = self.short(letter.id.message);
                    format!("bury {short} {} {}", letter.mailbox, letter.code)
                }
                Op::DeadLetterRemove { id } => format!("letter {} leaves", self.short(id.message)),
                Op::StatePut {
                    mailbox,
                    key,
                    value,
                } if key == "n" => format!("{mailbox} n={}", cast::number_of(value)),
                Op::TimerPut(timer) => format!("timer {} {}", timer.name, timer.mailbox),
                Op::TimerRemove { mailbox, name } => format!("no timer {name} {mailbox}"),
                Op::CallBegin { call, request } => {
                    let by = self.short(call.message);
                    format!("call {by}.{} {}", call.index, self.short(request.id))
                }
                Op::CallEnd { call, answer } => {
                    let by = self.short(call.message);
                    format!("end {by}.{} {}", call.index, self.short(answer.id))
                }
                Op::CallsRemove { message, .. } => format!("calls of {}", self.short(*message)),
                Op::AgentPut(record) => {
                    format!(
                        "{} {} {}",
                        record.agent, record.manifest.version, record.phase
                    )
                }
                Op::AgentRemove { agent } => format!("remove {agent}"),
                Op::StatePut { .. }
                | Op::StateRemove { .. }
                | Op::ArtifactPut { .. }
                | Op::RecordPut { .. }
                | Op::RecordRemove { .. }
                | Op::LogPut { .. }
                | Op::LogTrim { .. } => continue,
            };
            text.push_str(&format!(" [{part}]"));
        }
        text
    }
}
