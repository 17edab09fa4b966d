//! The ledger: a second, plain account of what the disk was told, kept unit by unit, and the rules
//! that each unit must obey. It knows nothing of how the engine works inside.

mod facts;
mod leaving;
mod told;

use super::cast;
use super::script::{self, Script};
use super::world::Stats;
use caxton_core::route::HOPS_MAX;
use caxton_core::{AgentName, MailboxId, Message, MessageId};
use caxton_engine::mailbox::SYSTEM_PLACES;
use caxton_engine::port::store::{AgentRecord, CallId, Committed, Op, Timer, Unit};
use facts::Facts;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Rule = Result<(), String>;
/// A lane's name and, of a client's, the place in its order.
type Lane = (String, Option<u64>);

/// A message in a mailbox, as told.
#[derive(Clone, Debug)]
struct Waiting {
    id: MessageId,
    /// Where it came from, and its place in that order; none where no order is promised.
    lane: Option<(String, u64)>,
    attempts: u32,
}

#[derive(Clone, Debug)]
struct Asked {
    request: MessageId,
    answer: Option<MessageId>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    batch_messages_max: usize,
    shorts: BTreeMap<MessageId, u32>,
    recorded: BTreeMap<MessageId, Arc<Message>>,
    sequence: u64,
    inbox: BTreeMap<MailboxId, BTreeMap<u64, Waiting>>,
    /// Handled for good, by mailbox.
    handled: BTreeSet<(MailboxId, MessageId)>,
    /// What the state `n` of each mailbox must say.
    counts: BTreeMap<MailboxId, u64>,
    timers: BTreeMap<(MailboxId, String), Timer>,
    calls: BTreeMap<CallId, Asked>,
    agents: BTreeMap<AgentName, AgentRecord>,
    dead_letters: BTreeSet<(MessageId, AgentName)>,
    /// Accepted at the door, and told so.
    acknowledged: BTreeSet<MessageId>,
    /// What clients sent, by the tag they put on it.
    tags: BTreeMap<String, MessageId>,
    refused_tags: BTreeSet<String>,
}

impl Ledger {
    pub(super) fn new(batch_messages_max: usize) -> Self {
        Self {
            batch_messages_max,
            ..Self::default()
        }
    }

    /// A short name for a message, in the order they were met.
    pub(super) fn short(&mut self, id: MessageId) -> String {
        let next = u32::try_from(self.shorts.len()).unwrap_or(u32::MAX);
        format!("m{}", self.shorts.entry(id).or_insert(next))
    }

    /// Enters one unit, and says which rule it breaks.
    pub(super) fn apply(
        &mut self,
        unit: &Unit,
        committed: &Committed,
        scripts: &[Script],
        stats: &mut Stats,
        now_us: i64,
    ) -> Rule {
        let facts = Facts::of(unit);
        stats.units += 1;
        for (index, op) in unit.ops.iter().enumerate() {
            match op {
                Op::Deliver { message, .. } if committed.duplicates.contains(&index) => {
                    return Err(format!("message {} leaves a second time", message.id));
                }
                Op::Deliver { message, mailboxes } => self.deliver(message, mailboxes, &facts)?,
                Op::Ack { mailbox, message } => {
                    self.leave(mailbox, *message, "acknowledged")?;
                    self.handled(mailbox, *message, &facts, scripts)?;
                    stats.handled += 1;
                }
                Op::Attempt {
                    mailbox,
                    message,
                    attempts,
                } => self.attempt(mailbox, *message, *attempts)?,
                Op::Bury { letter, message } => {
                    stats.buried += 1;
                    stats.hop_limit += u64::from(letter.code == "CX-3004");
                    self.bury(letter, message)?;
                }
                Op::DeadLetterRemove { id } => {
                    let id = (id.message, id.receiver.clone());
                    rule(self.dead_letters.remove(&id), || {
                        format!("dead letter {}:{} leaves twice", id.0, id.1)
                    })?;
                }
                Op::StatePut { mailbox, key, .. } if key.starts_with("m/") => {
                    self.marked(mailbox, &key[2..], &facts)?;
                }
                Op::TimerPut(timer) => {
                    let id = (timer.mailbox.clone(), timer.name.clone());
                    self.timers.insert(id, timer.clone());
                }
                Op::TimerRemove { mailbox, name } => {
                    let there = self.timers.remove(&(mailbox.clone(), name.clone()));
                    if !facts.handles_in(mailbox) {
                        stats.timers_fired += 1;
                        self.fired(mailbox, name, there, now_us)?;
                    }
                }
                Op::CallBegin { call, request } => self.call_begun(call, request.id)?,
                Op::CallEnd { call, answer } => {
                    if let Some(asked) = self.calls.get_mut(call) {
                        asked.answer.get_or_insert(answer.id);
                    }
                }
                Op::CallsRemove { mailbox, message } => self
                    .calls
                    .retain(|id, _| id.mailbox != *mailbox || id.message != *message),
                Op::AgentPut(record) => {
                    self.agents.insert(record.agent.clone(), (**record).clone());
                }
                Op::AgentRemove { agent } => self.removed(agent)?,
                Op::StatePut { .. }
                | Op::StateRemove { .. }
                | Op::ArtifactPut { .. }
                | Op::RecordPut { .. }
                | Op::RecordRemove { .. }
                | Op::LogPut { .. }
                | Op::LogTrim { .. } => {}
            }
        }
        self.counted(&facts)
    }

    fn deliver(
        &mut self,
        message: &Arc<Message>,
        mailboxes: &[MailboxId],
        facts: &Facts<'_>,
    ) -> Rule {
        let id = message.id;
        let short = self.short(id);
        let new = self.recorded.insert(id, Arc::clone(message)).is_none();
        rule(new, || {
            format!("{short} was recorded before, and the store says it was not")
        })?;
        rule(message.hop <= HOPS_MAX || mailboxes.is_empty(), || {
            format!("{short} goes on past the hop limit")
        })?;
        for receiver in &message.acl.receivers {
            let name = &receiver.id.name;
            let placed = mailboxes.iter().any(|mailbox| mailbox.agent.name == *name)
                || facts.buried.contains(&(id, name))
                || facts.answered.contains(&(id, name));
            // What ams or a transient agent says is refused to the sender alone.
            let told = message.sender().is_some_and(|from| {
                from.name == AgentName::ams() || cast::is_transient(&from.name)
            });
            rule(placed || told || !cast::is_durable(name), || {
                format!("{short} is recorded, and {name} neither gets it nor refuses it")
            })?;
        }
        self.comes_of_something(message, facts)?;
        let lane = self.lane_of(message, facts)?;
        for mailbox in mailboxes {
            self.sequence += 1;
            let order = lane
                .clone()
                .map(|(lane, order)| (lane, order.unwrap_or(self.sequence)));
            let waiting = Waiting {
                id,
                lane: order,
                attempts: 0,
            };
            let inbox = self.inbox.entry(mailbox.clone()).or_default();
            inbox.insert(self.sequence, waiting);
            let limits = self
                .agents
                .get(&mailbox.agent.name)
                .map(|agent| &agent.manifest.limits);
            let places = limits.map_or(0, |limits| limits.mailbox_messages_max) + SYSTEM_PLACES;
            let most = places as usize + self.batch_messages_max;
            rule(inbox.len() <= most, || {
                format!(
                    "{mailbox} holds {} messages, at most {most} may be",
                    inbox.len()
                )
            })?;
        }
        Ok(())
    }

    /// An agent's message is recorded with the end of the handling that sent it, or as a call.
    fn comes_of_something(&mut self, message: &Arc<Message>, facts: &Facts<'_>) -> Rule {
        let Some(from) = message.sender().filter(|from| cast::is_durable(&from.name)) else {
            return Ok(());
        };
        if cast::is_timer(message) && !facts.resent {
            let name = message.acl.in_reply_to.clone().unwrap_or_default();
            let removes = |op: &Op| {
                matches!(op, Op::TimerRemove { mailbox, name: fired }
                    if mailbox.agent == *from && *fired == name)
            };
            return rule(facts.unit.ops.iter().any(removes), || {
                format!("timer {name} of {from} fires and stays")
            });
        }
        let caused = facts
            .acked
            .iter()
            .any(|(mailbox, id)| mailbox.agent == *from && Some(*id) == message.parent);
        let fine = caused || facts.resent || facts.begun.contains(&message.id);
        let short = self.short(message.id);
        rule(fine, || {
            format!("{short} of {from} leaves before the message that caused it is handled")
        })
    }

    /// The lane a message was sent from; a client's tag gives its place, an agent's is the order of
    /// leaving.
    fn lane_of(&mut self, message: &Message, facts: &Facts<'_>) -> Result<Option<Lane>, String> {
        let mut lanes = message.acl.user_parameters.iter();
        let Some((_, text)) = lanes.find(|(key, _)| key == cast::LANE) else {
            return Ok(None);
        };
        if facts.resent {
            return Ok(None);
        }
        let Some((client, number)) = text.split_once(':') else {
            return Ok(Some((text.clone(), None)));
        };
        rule(!self.refused_tags.contains(text), || {
            format!("{text} was refused and is recorded")
        })?;
        self.tags.insert(text.clone(), message.id);
        Ok(Some((client.to_owned(), number.parse().ok())))
    }

    fn fired(&mut self, mailbox: &MailboxId, name: &str, was: Option<Timer>, now_us: i64) -> Rule {
        let Some(timer) = was else {
            return Err(format!("timer {name} of {mailbox} fires and is not set"));
        };
        // The clock may have been set back since the decision to fire, by ten minutes at most.
        let early_us = timer.due.as_us() - now_us;
        rule(early_us < 601_000_000, || {
            format!("timer {name} of {mailbox} fires {early_us} us early")
        })
    }

    fn call_begun(&mut self, call: &CallId, request: MessageId) -> Rule {
        let first = self.calls.entry(call.clone()).or_insert(Asked {
            request,
            answer: None,
        });
        let first = first.request;
        rule(first == request, || {
            format!("call {call:?} leaves as {request} after it left as {first}")
        })
    }

    fn removed(&mut self, agent: &AgentName) -> Rule {
        let left = self
            .inbox
            .iter()
            .find(|(mailbox, inbox)| mailbox.agent.name == *agent && !inbox.is_empty());
        if let Some((mailbox, inbox)) = left {
            let ids: Vec<MessageId> = inbox.values().map(|waiting| waiting.id).collect();
            return Err(format!(
                "{agent} is removed with {ids:?} unhandled in {mailbox}"
            ));
        }
        let others = |mailbox: &MailboxId| mailbox.agent.name != *agent;
        self.agents.remove(agent);
        self.counts.retain(|mailbox, _| others(mailbox));
        self.timers.retain(|(mailbox, _), _| others(mailbox));
        self.calls.retain(|id, _| others(&id.mailbox));
        Ok(())
    }
}

fn rule(holds: bool, otherwise: impl FnOnce() -> String) -> Rule {
    if holds { Ok(()) } else { Err(otherwise()) }
}
