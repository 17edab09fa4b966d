//! One tenant's rows in memory, and what each operation does to them.

use crate::port::store::{
    AgentRecord, CallId, CallRecord, DeadLetter, DeadLetterId, DeliveryState, DeliveryStatus,
    LogName, LogRange, MessageFilter, Op, Pending, RecordKind, RecordRange, Recorded, Timer,
};
use bytes::Bytes;
use caxton_core::conversation::Conversation;
use caxton_core::{AgentName, ConversationId, Digest, MailboxId, Message, MessageId, Timestamp};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A recorded message and the mailboxes it went to.
#[derive(Debug)]
struct Entry {
    message: Arc<Message>,
    mailboxes: Vec<MailboxId>,
}

/// Everything of one tenant. Messages are keyed by the order in which they were accepted.
#[derive(Debug, Default)]
pub(super) struct Tenant {
    messages: BTreeMap<i64, Entry>,
    by_id: HashMap<MessageId, i64>,
    /// Per mailbox: message -> tries that failed.
    inbox: BTreeMap<MailboxId, BTreeMap<i64, u32>>,
    pub(super) dead: BTreeMap<DeadLetterId, (DeadLetter, Arc<Message>)>,
    state: BTreeMap<MailboxId, BTreeMap<String, Bytes>>,
    timers: BTreeMap<(MailboxId, String), Timer>,
    calls: BTreeMap<CallId, CallRecord>,
    agents: BTreeMap<AgentName, AgentRecord>,
    artifacts: HashMap<Digest, Bytes>,
    records: BTreeMap<(RecordKind, String), Bytes>,
    logs: BTreeMap<LogName, BTreeMap<u64, Bytes>>,
    pub(super) conversations: HashMap<ConversationId, Conversation>,
}

impl Tenant {
    /// Does the operation; answers whether it was a duplicate delivery. Cannot fail: the unit was
    /// checked before.
    pub(super) fn apply(&mut self, op: Op, sequence: &mut i64) -> bool {
        match op {
            Op::Deliver { message, mailboxes } => {
                return !self.deliver(&message, mailboxes, sequence);
            }
            Op::Ack { mailbox, message } => self.leave(&mailbox, message),
            Op::Attempt {
                mailbox,
                message,
                attempts,
            } => self.attempt(&mailbox, message, attempts),
            Op::Bury { letter, message } => {
                self.deliver(&message, Vec::new(), sequence);
                self.leave(&letter.mailbox, letter.id.message);
                self.dead.insert(letter.id.clone(), (letter, message));
            }
            Op::DeadLetterRemove { id } => {
                self.dead.remove(&id);
            }
            Op::StatePut {
                mailbox,
                key,
                value,
            } => {
                self.state.entry(mailbox).or_default().insert(key, value);
            }
            Op::StateRemove { mailbox, key } => {
                if let Some(values) = self.state.get_mut(&mailbox) {
                    values.remove(&key);
                }
            }
            Op::TimerPut(timer) => {
                let id = (timer.mailbox.clone(), timer.name.clone());
                self.timers.insert(id, timer);
            }
            Op::TimerRemove { mailbox, name } => {
                self.timers.remove(&(mailbox, name));
            }
            Op::CallBegin { call, request } => self.call_begin(call, request),
            Op::CallEnd { call, answer } => {
                if let Some(record) = self.calls.get_mut(&call) {
                    record.answer.get_or_insert(answer);
                }
            }
            Op::CallsRemove { mailbox, message } => {
                self.calls
                    .retain(|id, _| id.mailbox != mailbox || id.message != message);
            }
            Op::AgentPut(record) => {
                self.agents.insert(record.agent.clone(), *record);
            }
            Op::AgentRemove { agent } => self.agent_remove(&agent),
            Op::ArtifactPut { digest, bytes } => {
                self.artifacts.entry(digest).or_insert(bytes);
            }
            Op::RecordPut { kind, id, body } => {
                self.records.insert((kind, id), body);
            }
            Op::RecordRemove { kind, id } => {
                self.records.remove(&(kind, id));
            }
            Op::LogPut { log, index, body } => {
                self.logs.entry(log).or_default().insert(index, body);
            }
            Op::LogTrim { log, before } => {
                if let Some(entries) = self.logs.get_mut(&log) {
                    *entries = entries.split_off(&before);
                }
            }
        }
        false
    }

    /// The first of the operations that would write over an entry of a log, if any does.
    pub(super) fn written_over<'a>(&self, ops: &'a [Op]) -> Option<(&'a LogName, u64)> {
        let mut new = HashSet::new();
        ops.iter().find_map(|op| match op {
            Op::LogPut { log, index, .. } => {
                let known = self.logs.get(log).is_some_and(|it| it.contains_key(index));
                (known || !new.insert((log, *index))).then_some((log, *index))
            }
            _ => None,
        })
    }

    pub(super) fn record(&self, kind: RecordKind, id: &str) -> Option<Bytes> {
        self.records.get(&(kind, id.to_owned())).cloned()
    }

    pub(super) fn records(
        &self,
        kind: RecordKind,
        range: RecordRange<'_>,
        rows_max: u32,
    ) -> Vec<(String, Bytes)> {
        let RecordRange { prefix, after, .. } = range;
        let rows_max = rows_max as usize;
        let owned = |((_, id), body): (&(RecordKind, String), &Bytes)| (id.clone(), body.clone());
        if range.descending {
            let (first, end) = ((kind, prefix.to_owned()), (kind, range.before()));
            if first >= end {
                return Vec::new();
            }
            let found = self.records.range(first..end).rev();
            return found.take(rows_max).map(owned).collect();
        }
        let from = (kind, prefix.max(after).to_owned());
        self.records
            .range(from..)
            .take_while(|((of, id), _)| *of == kind && id.starts_with(prefix))
            .filter(|((_, id), _)| id.as_str() > after)
            .take(rows_max)
            .map(owned)
            .collect()
    }

    pub(super) fn log(&self, log: &LogName, range: LogRange, rows_max: u32) -> Vec<(u64, Bytes)> {
        let Some(entries) = self.logs.get(log).filter(|_| range.from < range.before) else {
            return Vec::new();
        };
        let found = entries.range(range.from..range.before);
        let row = |(index, body): (&u64, &Bytes)| (*index, body.clone());
        if range.newest_first {
            found.rev().take(rows_max as usize).map(row).collect()
        } else {
            found.take(rows_max as usize).map(row).collect()
        }
    }

    /// Records the message unless it is; answers whether it did.
    fn deliver(
        &mut self,
        message: &Arc<Message>,
        mut mailboxes: Vec<MailboxId>,
        sequence: &mut i64,
    ) -> bool {
        if self.by_id.contains_key(&message.id) {
            return false;
        }
        let mut seen = HashSet::new();
        mailboxes.retain(|mailbox| seen.insert(mailbox.clone()));
        *sequence += 1;
        self.by_id.insert(message.id, *sequence);
        for mailbox in &mailboxes {
            let waiting = self.inbox.entry(mailbox.clone()).or_default();
            waiting.insert(*sequence, 0);
        }
        if let Some(id) = &message.acl.conversation_id {
            if let Some(known) = self.conversations.get_mut(id) {
                known.add(message);
            } else if let Some(first) = Conversation::begin(message) {
                self.conversations.insert(id.clone(), first);
            }
        }
        let message = message.clone();
        self.messages
            .insert(*sequence, Entry { message, mailboxes });
        true
    }

    fn leave(&mut self, mailbox: &MailboxId, message: MessageId) {
        let Some(sequence) = self.by_id.get(&message) else {
            return;
        };
        if let Some(waiting) = self.inbox.get_mut(mailbox) {
            waiting.remove(sequence);
            if waiting.is_empty() {
                self.inbox.remove(mailbox);
            }
        }
    }

    fn attempt(&mut self, mailbox: &MailboxId, message: MessageId, attempts: u32) {
        let row = self
            .by_id
            .get(&message)
            .and_then(|sequence| self.inbox.get_mut(mailbox)?.get_mut(sequence));
        if let Some(row) = row {
            *row = attempts;
        }
    }

    /// A call that has begun stays as it began: the key under which it is retried must not change.
    fn call_begin(&mut self, call: CallId, request: Arc<Message>) {
        self.calls.entry(call).or_insert(CallRecord {
            request,
            answer: None,
        });
    }

    fn agent_remove(&mut self, agent: &AgentName) {
        let others = |mailbox: &MailboxId| mailbox.agent.name != *agent;
        self.agents.remove(agent);
        self.inbox.retain(|mailbox, _| others(mailbox));
        self.state.retain(|mailbox, _| others(mailbox));
        self.timers.retain(|(mailbox, _), _| others(mailbox));
        self.calls.retain(|id, _| others(&id.mailbox));
    }

    pub(super) fn agents(&self) -> Vec<AgentRecord> {
        self.agents.values().cloned().collect()
    }

    pub(super) fn artifact(&self, digest: &Digest) -> Option<Bytes> {
        self.artifacts.get(digest).cloned()
    }

    pub(super) fn mailboxes(&self, agent: Option<&AgentName>) -> Vec<(MailboxId, u32)> {
        let asked = |id: &&MailboxId| agent.is_none_or(|name| id.agent.name == *name);
        let count = |id: &MailboxId| {
            let len = self.inbox.get(id).map_or(0, BTreeMap::len);
            (id.clone(), u32::try_from(len).unwrap_or(u32::MAX))
        };
        self.inbox.keys().filter(asked).map(count).collect()
    }

    pub(super) fn pending(&self, mailbox: &MailboxId, rows_max: u32) -> Vec<Pending> {
        let rows = self.inbox.get(mailbox).into_iter().flatten();
        let pending = |(sequence, attempts): (&i64, &u32)| {
            let message = self.messages.get(sequence)?.message.clone();
            Some(Pending {
                message,
                attempts: *attempts,
            })
        };
        rows.filter_map(pending).take(rows_max as usize).collect()
    }

    pub(super) fn state(&self, mailbox: &MailboxId, key: &str) -> Option<Bytes> {
        self.state.get(mailbox)?.get(key).cloned()
    }

    pub(super) fn state_keys(
        &self,
        mailbox: &MailboxId,
        prefix: &str,
        after: &str,
        rows_max: u32,
    ) -> Vec<String> {
        let keys = self.state.get(mailbox).into_iter().flat_map(|v| v.keys());
        keys.filter(|key| key.starts_with(prefix) && key.as_str() > after)
            .take(rows_max as usize)
            .cloned()
            .collect()
    }

    pub(super) fn timers(&self) -> Vec<Timer> {
        self.timers.values().cloned().collect()
    }

    pub(super) fn call(&self, call: &CallId) -> Option<CallRecord> {
        self.calls.get(call).cloned()
    }

    pub(super) fn calls_open(&self) -> Vec<(CallId, CallRecord)> {
        let open = self
            .calls
            .iter()
            .filter(|(_, record)| record.answer.is_none());
        open.map(|(id, record)| (id.clone(), record.clone()))
            .collect()
    }

    pub(super) fn message(&self, id: MessageId) -> Option<Recorded> {
        self.recorded(*self.by_id.get(&id)?)
    }

    fn recorded(&self, sequence: i64) -> Option<Recorded> {
        let entry = self.messages.get(&sequence)?;
        let waiting = entry.mailboxes.iter().filter_map(|mailbox| {
            let attempts = *self.inbox.get(mailbox)?.get(&sequence)?;
            Some(DeliveryStatus {
                mailbox: mailbox.clone(),
                state: DeliveryState::Pending,
                attempts,
                error: None,
            })
        });
        let dead = self
            .dead
            .iter()
            .filter(|(id, _)| id.message == entry.message.id)
            .map(|(_, (letter, _))| letter.status());
        Some(Recorded {
            message: entry.message.clone(),
            open: waiting.chain(dead).collect(),
        })
    }

    /// Messages in the order asked for, after a sequence number, each with its own.
    pub(super) fn messages(
        &self,
        filter: &MessageFilter,
        after: Option<i64>,
        rows_max: usize,
    ) -> Vec<(i64, Recorded)> {
        let oldest_first = filter.conversation.is_some() || filter.trace_id.is_some();
        let matching = |(sequence, entry): (&i64, &Entry)| {
            filter
                .matches(&entry.message)
                .then(|| Some((*sequence, self.recorded(*sequence)?)))?
        };
        if oldest_first {
            let from = after.map_or(i64::MIN, |at| at.saturating_add(1));
            let rows = self.messages.range(from..);
            rows.filter_map(matching).take(rows_max).collect()
        } else {
            let rows = self.messages.range(..after.unwrap_or(i64::MAX)).rev();
            rows.filter_map(matching).take(rows_max).collect()
        }
    }

    pub(super) fn forget(&mut self, before: Timestamp, rows_max: u32) -> u32 {
        let dead: HashSet<MessageId> = self.dead.keys().map(|id| id.message).collect();
        let old = |message: &Message| message.created < before && !dead.contains(&message.id);
        let gone = self.forget_if(old, rows_max as usize);
        u32::try_from(gone.len()).unwrap_or(u32::MAX)
    }

    /// Forgets messages that no mailbox and no call needs, the oldest first.
    fn forget_if(&mut self, asked: impl Fn(&Message) -> bool, rows_max: usize) -> Vec<MessageId> {
        let mut needed = HashSet::new();
        for (id, record) in &self.calls {
            needed.insert(id.message);
            needed.insert(record.request.id);
            needed.extend(record.answer.as_ref().map(|answer| answer.id));
        }
        let waiting: HashSet<i64> = self
            .inbox
            .values()
            .flat_map(|m| m.keys().copied())
            .collect();
        let gone: Vec<(i64, MessageId)> = self
            .messages
            .iter()
            .map(|(sequence, entry)| (*sequence, &entry.message))
            .filter(|(sequence, message)| {
                asked(message) && !waiting.contains(sequence) && !needed.contains(&message.id)
            })
            .map(|(sequence, message)| (sequence, message.id))
            .take(rows_max)
            .collect();
        for (sequence, id) in &gone {
            self.messages.remove(sequence);
            self.by_id.remove(id);
        }
        gone.into_iter().map(|(_, id)| id).collect()
    }

    pub(super) fn forget_conversation(&mut self, talk: &ConversationId, rows_max: u32) -> u32 {
        let of = |message: &Message| message.acl.conversation_id.as_ref() == Some(talk);
        let gone = self.forget_if(of, rows_max as usize);
        self.dead.retain(|id, _| !gone.contains(&id.message));
        if !self.messages.values().any(|entry| of(&entry.message)) {
            self.conversations.remove(talk);
        }
        u32::try_from(gone.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn forget_conversations(&mut self, before: Timestamp, rows_max: u32) -> u32 {
        let told: HashSet<&ConversationId> = self
            .messages
            .values()
            .filter_map(|entry| entry.message.acl.conversation_id.as_ref())
            .collect();
        let mut old: Vec<(Timestamp, ConversationId)> = self
            .conversations
            .values()
            .filter(|talk| talk.last < before && !told.contains(&talk.id))
            .map(|talk| (talk.last, talk.id.clone()))
            .collect();
        old.sort();
        old.truncate(rows_max as usize);
        for (_, id) in &old {
            self.conversations.remove(id);
        }
        u32::try_from(old.len()).unwrap_or(u32::MAX)
    }
}
