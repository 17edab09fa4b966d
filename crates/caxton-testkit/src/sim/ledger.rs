//! The ledger: a second, plain account of what the disk was told, kept unit by unit, and the rules
//! that each unit must obey. It knows nothing of how the engine works inside.

use super::cast;
use super::script::{self, Script};
use super::world::Stats;
use caxton_core::route::HOPS_MAX;
use caxton_core::{AgentName, Error, MailboxId, Message, MessageId};
use caxton_engine::mailbox::SYSTEM_PLACES;
use caxton_engine::port::store::{AgentRecord, CallId, Committed, DeadLetter, Op, Timer, Unit};
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

/// What a unit does, gathered before it is judged operation by operation.
struct Facts<'a> {
    unit: &'a Unit,
    acked: BTreeSet<(&'a MailboxId, MessageId)>,
    /// Message marked as handled in the state, with the value written.
    marks: BTreeMap<(&'a MailboxId, &'a str), u64>,
    begun: BTreeSet<MessageId>,
    buried: BTreeSet<(MessageId, &'a AgentName)>,
    answered: BTreeSet<(MessageId, &'a AgentName)>,
    resent: bool,
}

impl<'a> Facts<'a> {
    fn of(unit: &'a Unit) -> Self {
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
    fn handles_in(&self, mailbox: &MailboxId) -> bool {
        self.marks.keys().any(|(marked, _)| *marked == mailbox)
    }
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

    fn leave(&mut self, mailbox: &MailboxId, id: MessageId, how: &str) -> Rule {
        let short = self.short(id);
        let inbox = self.inbox.get_mut(mailbox);
        let found = inbox.and_then(|inbox| {
            let (sequence, _) = inbox.iter().find(|(_, waiting)| waiting.id == id)?;
            let sequence = *sequence;
            inbox.remove(&sequence)
        });
        let Some(left) = found else {
            return Err(format!(
                "{short} is {how} in {mailbox}, where it does not wait"
            ));
        };
        let Some((lane, order)) = left.lane else {
            return Ok(());
        };
        let earlier = self
            .inbox
            .get(mailbox)
            .into_iter()
            .flat_map(|inbox| inbox.values());
        let overtaken = earlier
            .filter(|waiting| {
                let client = lane.starts_with("client");
                waiting
                    .lane
                    .as_ref()
                    .is_some_and(|(other, at)| *other == lane && *at < order)
                    && (!client || self.acknowledged.contains(&waiting.id))
            })
            .map(|waiting| waiting.id)
            .next();
        match overtaken {
            Some(other) => Err(format!(
                "{short} overtakes {} from {lane} in {mailbox}",
                self.short(other)
            )),
            None => Ok(()),
        }
    }

    /// A durable message is handled: its mark, its outbox and its timers must be in the same unit.
    fn handled(
        &mut self,
        mailbox: &MailboxId,
        id: MessageId,
        facts: &Facts<'_>,
        scripts: &[Script],
    ) -> Rule {
        let short = self.short(id);
        let text = id.to_string();
        let mark = facts.marks.get(&(mailbox, text.as_str()));
        rule(mark == Some(&1), || {
            format!("{short} is acknowledged in {mailbox}, its state says {mark:?} times")
        })?;
        let Some(expected) = self.expected(id, scripts) else {
            return Ok(());
        };
        let lane = mailbox.to_string();
        let sent: Vec<&str> = facts
            .unit
            .ops
            .iter()
            .filter_map(|op| match op {
                Op::Deliver { message, .. }
                    if message.parent == Some(id)
                        && !facts.begun.contains(&message.id)
                        && message
                            .acl
                            .user_parameters
                            .iter()
                            .any(|(_, of)| *of == lane) =>
                {
                    message.acl.text()
                }
                _ => None,
            })
            .collect();
        rule(sent == expected.sends, || {
            format!(
                "{short} in {mailbox} sends {sent:?}, by its script {:?}",
                expected.sends
            )
        })?;
        let set = facts.unit.ops.iter().filter(|op| {
            matches!(op, Op::TimerPut(timer) if timer.origin == Some(id) && timer.mailbox == *mailbox)
        });
        let set = set.count();
        rule(set == expected.timers, || {
            format!(
                "{short} in {mailbox} sets {set} timers, by its script {}",
                expected.timers
            )
        })
    }

    fn marked(&mut self, mailbox: &MailboxId, id: &str, facts: &Facts<'_>) -> Rule {
        let id = MessageId::parse(id).map_err(|error| error.to_string())?;
        let short = self.short(id);
        let durable = cast::is_durable(&mailbox.agent.name);
        rule(!durable || facts.acked.contains(&(mailbox, id)), || {
            format!("{short} changes the state of {mailbox} without being acknowledged")
        })?;
        rule(self.handled.insert((mailbox.clone(), id)), || {
            format!("{short} changes the state of {mailbox} a second time")
        })
    }

    /// The counter in each mailbox's state grows by one for each handled message.
    fn counted(&mut self, facts: &Facts<'_>) -> Rule {
        let mut last: BTreeMap<&MailboxId, u64> = BTreeMap::new();
        for op in &facts.unit.ops {
            if let Op::StatePut {
                mailbox,
                key,
                value,
            } = op
                && key == "n"
            {
                last.insert(mailbox, cast::number_of(value));
            }
        }
        for (mailbox, found) in last {
            let marks = facts.marks.keys().filter(|(marked, _)| *marked == mailbox);
            let expected = self.counts.entry(mailbox.clone()).or_default();
            *expected += marks.count() as u64;
            rule(found == *expected, || {
                format!("{mailbox} counts {found} messages, {expected} were handled")
            })?;
        }
        Ok(())
    }

    fn attempt(&mut self, mailbox: &MailboxId, id: MessageId, attempts: u32) -> Rule {
        let short = self.short(id);
        let waiting = self
            .inbox
            .get_mut(mailbox)
            .into_iter()
            .flat_map(|inbox| inbox.values_mut());
        let Some(waiting) = waiting.filter(|waiting| waiting.id == id).last() else {
            return Err(format!(
                "a try of {short} in {mailbox}, where it does not wait"
            ));
        };
        let before = waiting.attempts;
        waiting.attempts = attempts;
        rule(attempts == before + 1, || {
            format!("after {before} tries of {short} in {mailbox} come {attempts}")
        })
    }

    fn bury(&mut self, letter: &DeadLetter, message: &Arc<Message>) -> Rule {
        let id = letter.id.message;
        let short = self.short(id);
        let (mailbox, code) = (&letter.mailbox, &letter.code);
        self.dead_letters.insert((id, letter.id.receiver.clone()));
        if self
            .inbox
            .get(mailbox)
            .is_some_and(|inbox| inbox.values().any(|w| w.id == id))
        {
            return self.leave(mailbox, id, "buried");
        }
        // Refused by its receiver: it never was in the mailbox.
        let handled = self.handled.contains(&(mailbox.clone(), id));
        rule(!handled && letter.attempts == 0, || {
            format!("{short} is buried ({code}) after it was handled in {mailbox}")
        })?;
        let recorded = self.recorded.entry(id);
        recorded.or_insert_with(|| Arc::clone(message));
        Ok(())
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

    /// The recorded answer of a call.
    pub(super) fn answer(&self, call: &CallId) -> Option<MessageId> {
        self.calls.get(call)?.answer
    }

    pub(super) fn call_ended(
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

    /// A client was told that its message is accepted.
    pub(super) fn acknowledged(&mut self, message: MessageId, tag: &str, to: &[&str]) -> Rule {
        let durable = to.iter().any(|name| cast::is_durable(&cast::name(name)));
        rule(!durable || self.tags.get(tag) == Some(&message), || {
            format!("{tag} is acknowledged as {message} and not recorded")
        })?;
        self.acknowledged.insert(message);
        Ok(())
    }

    /// A client was told that its message is refused.
    pub(super) fn refused(&mut self, tag: &str, code: &str) -> Rule {
        self.refused_tags.insert(tag.to_owned());
        rule(!self.tags.contains_key(tag), || {
            format!("{tag} is refused with {code} and recorded")
        })
    }

    /// Messages that wait in an agent's mailboxes.
    pub(super) fn waiting(&self, agent: &AgentName) -> usize {
        let of = |mailbox: &&MailboxId| mailbox.agent.name == *agent;
        let inboxes = self.inbox.iter().filter(|(mailbox, _)| of(mailbox));
        inboxes.map(|(_, inbox)| inbox.len()).sum()
    }

    /// Timers set by an agent.
    pub(super) fn timers_of(&self, agent: &AgentName) -> usize {
        let of = |(mailbox, _): &&(MailboxId, String)| mailbox.agent.name == *agent;
        self.timers.keys().filter(of).count()
    }

    pub(super) fn handled_count(&self) -> usize {
        self.handled.len()
    }

    pub(super) fn dead_letters(&self) -> impl Iterator<Item = &(MessageId, AgentName)> {
        self.dead_letters.iter()
    }

    /// What is left when the world has come to rest with every agent running.
    pub(super) fn at_rest(&self) -> Rule {
        let open = self.inbox.iter().find(|(_, inbox)| !inbox.is_empty());
        rule(open.is_none(), || format!("unhandled at the end: {open:?}"))?;
        let call = self.calls.keys().next();
        rule(call.is_none(), || format!("never forgotten: {call:?}"))?;
        let timer = self.timers.keys().next();
        rule(timer.is_none(), || format!("never fired: {timer:?}"))
    }

    /// What the counter of each mailbox must say.
    pub(super) fn counts(&self) -> &BTreeMap<MailboxId, u64> {
        &self.counts
    }

    /// What a handled message must have led to; none where the message is not known by its text.
    fn expected(&self, id: MessageId, scripts: &[Script]) -> Option<Expected> {
        let message = self.recorded.get(&id)?;
        let number = script::number(message).filter(|_| cast::plays(message));
        let script = number.and_then(|number| scripts.get(number).map(|script| (number, script)));
        let mut expected = Expected::default();
        if let Some((number, script)) = script {
            expected.sends = script.sends(number);
            expected.timers = script.timers();
        }
        if cast::is_asked(message) {
            expected.sends.push("r".to_owned());
        }
        Some(expected)
    }
}

#[derive(Debug, Default)]
struct Expected {
    sends: Vec<String>,
    timers: usize,
}

fn rule(holds: bool, otherwise: impl FnOnce() -> String) -> Rule {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl Ledger {
    /// A unit in one line.
    pub(super) fn shown(&mut self, unit: &Unit) -> String {
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
