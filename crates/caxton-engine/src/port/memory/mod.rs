//! A store in memory: for tests, the simulator, and servers that need no durability. What it holds
//! is a [`MemoryDisk`] that outlives it, so that a test can crash a server and start another one on
//! the same disk. It passes the same conformance suite as every other store.

mod tenant;

use super::Answer;
use super::page::{self, List, Position};
use super::store::{
    AgentRecord, BackupInfo, CallId, CallRecord, Committed, DeadLetter, DeadLetterId, LogName,
    LogRange, MessageFilter, PAGE_ROWS_MAX, Page, PageRequest, Pending, Placement, RecordKind,
    RecordRange, Recorded, Store, StoreError, StoreStatus, Timer, Unit,
};
use crate::opctx::TenantScope;
use bytes::Bytes;
use caxton_core::conversation::Conversation;
use caxton_core::{
    AgentName, ConversationId, Digest, Epoch, MailboxId, Message, MessageId, TenantId, Timestamp,
};
use futures::FutureExt;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tenant::Tenant;

type Read<'a, T> = Answer<'a, Result<T, StoreError>>;

/// What is on the disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<Data>>);

#[derive(Debug, Default)]
struct Data {
    epoch: u64,
    /// Of the last message accepted, over all tenants.
    sequence: i64,
    tenants: BTreeMap<TenantId, Tenant>,
    /// Tenants that were given a place of their own: here only a word.
    dedicated: BTreeSet<TenantId>,
    units: u64,
    failing: Option<String>,
}

/// What the hook of [`MemoryStore::with_faults`] does to a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// Nothing is written; the commit answers this error.
    Refuse(StoreError),
    /// The unit is written and the caller is told this error: a crash, or a lost connection, between
    /// the write and its answer.
    LoseAnswer(StoreError),
    /// Nothing is written and no answer comes: a disk that hangs.
    Hang,
}

/// Looks at each unit before it is committed, and may spoil it.
pub type Faults = Box<dyn Fn(&Unit) -> Option<CommitFault> + Send + Sync>;

/// The store in memory. Any number may be open on one disk, like servers that take over from each
/// other: epochs keep them apart.
#[derive(Default)]
pub struct MemoryStore {
    disk: MemoryDisk,
    faults: Option<Faults>,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

impl MemoryStore {
    pub fn open(disk: MemoryDisk) -> Self {
        Self { disk, faults: None }
    }

    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }

    /// Writes at once, so that the order of calls is the order of commits.
    fn commit_now(&self, unit: Unit, fault: Option<CommitFault>) -> Result<Committed, StoreError> {
        unit.check()?;
        let mut data = self.disk.0.lock();
        if let Some(CommitFault::Refuse(error)) = fault {
            data.failing = Some(error.to_string());
            return Err(error);
        }
        if unit.epoch.0 < data.epoch {
            return Err(StoreError::Fenced);
        }
        let data = &mut *data;
        let mut done = Committed::default();
        let tenant = unit.scope.tenant().clone();
        let rows = data.tenants.entry(tenant).or_default();
        if let Some((log, index)) = rows.written_over(&unit.ops) {
            return Err(StoreError::written_over(log, index));
        }
        for (index, op) in unit.ops.into_iter().enumerate() {
            if rows.apply(op, &mut data.sequence) {
                done.duplicates.push(index);
            }
        }
        data.units += 1;
        data.failing = None;
        match fault {
            Some(CommitFault::LoseAnswer(error)) => Err(error),
            _ => Ok(done),
        }
    }

    /// Reads one tenant's rows; `none` where it has no rows at all.
    fn read<T: Send + 'static>(
        &self,
        scope: &TenantScope,
        none: T,
        ask: impl FnOnce(&Tenant) -> T,
    ) -> Read<'_, T> {
        let data = self.disk.0.lock();
        let found = data.tenants.get(scope.tenant()).map_or(none, ask);
        futures::future::ready(Ok(found)).boxed()
    }
}

/// Cuts what was read with one row more than asked for, and says where the list goes on.
fn cut<T>(
    mut rows: Vec<(Position, T)>,
    rows_max: usize,
    list: List<'_>,
    scope: &TenantScope,
) -> Page<T> {
    let more = rows.len() > rows_max;
    rows.truncate(rows_max);
    let last = rows.last().map(|(position, _)| position);
    let next = last
        .filter(|_| more)
        .map(|position| page::token(list, scope, position));
    Page {
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        next,
    }
}

fn rows_max(page: &PageRequest) -> usize {
    page.rows_max.clamp(1, PAGE_ROWS_MAX) as usize
}

/// The rows after the token's, newest first.
fn newest_first<T>(
    mut rows: Vec<(Position, T)>,
    list: List<'_>,
    scope: &TenantScope,
    asked: &PageRequest,
) -> Result<Page<T>, StoreError> {
    let after = page::position(list, scope, asked.token.as_deref())?;
    let key = |position: &Position| (position.at, position.id.clone());
    rows.retain(|(position, _)| after.as_ref().is_none_or(|at| key(position) < key(at)));
    rows.sort_by_key(|(position, _)| std::cmp::Reverse(key(position)));
    rows.truncate(rows_max(asked) + 1);
    Ok(cut(rows, rows_max(asked), list, scope))
}

impl Store for MemoryStore {
    fn begin_epoch(&self) -> Read<'_, Epoch> {
        let mut data = self.disk.0.lock();
        data.epoch += 1;
        futures::future::ready(Ok(Epoch(data.epoch))).boxed()
    }

    fn commit(&self, unit: Unit) -> Read<'_, Committed> {
        match self.faults.as_ref().and_then(|faults| faults(&unit)) {
            Some(CommitFault::Hang) => futures::future::pending().boxed(),
            fault => futures::future::ready(self.commit_now(unit, fault)).boxed(),
        }
    }

    fn tenants(&self) -> Read<'_, Vec<TenantId>> {
        let data = self.disk.0.lock();
        let tenants = data.tenants.keys().chain(&data.dedicated);
        let tenants: BTreeSet<TenantId> = tenants.filter(|id| !id.is_platform()).cloned().collect();
        let tenants = tenants.into_iter().collect();
        futures::future::ready(Ok(tenants)).boxed()
    }

    fn agents(&self, scope: &TenantScope) -> Read<'_, Vec<AgentRecord>> {
        self.read(scope, Vec::new(), Tenant::agents)
    }

    fn artifact(&self, scope: &TenantScope, digest: Digest) -> Read<'_, Option<Bytes>> {
        self.read(scope, None, |rows| rows.artifact(&digest))
    }

    fn mailboxes(
        &self,
        scope: &TenantScope,
        agent: Option<AgentName>,
    ) -> Read<'_, Vec<(MailboxId, u32)>> {
        self.read(scope, Vec::new(), |rows| rows.mailboxes(agent.as_ref()))
    }

    fn pending(
        &self,
        scope: &TenantScope,
        mailbox: &MailboxId,
        rows_max: u32,
    ) -> Read<'_, Vec<Pending>> {
        self.read(scope, Vec::new(), |rows| rows.pending(mailbox, rows_max))
    }

    fn state(
        &self,
        scope: &TenantScope,
        mailbox: &MailboxId,
        key: &str,
    ) -> Read<'_, Option<Bytes>> {
        self.read(scope, None, |rows| rows.state(mailbox, key))
    }

    fn state_keys(
        &self,
        scope: &TenantScope,
        mailbox: &MailboxId,
        prefix: &str,
        after: &str,
        rows_max: u32,
    ) -> Read<'_, Vec<String>> {
        self.read(scope, Vec::new(), |rows| {
            rows.state_keys(mailbox, prefix, after, rows_max)
        })
    }

    fn record(&self, scope: &TenantScope, kind: RecordKind, id: &str) -> Read<'_, Option<Bytes>> {
        self.read(scope, None, |rows| rows.record(kind, id))
    }

    fn records(
        &self,
        scope: &TenantScope,
        kind: RecordKind,
        range: RecordRange<'_>,
        rows_max: u32,
    ) -> Read<'_, Vec<(String, Bytes)>> {
        self.read(scope, Vec::new(), |rows| {
            rows.records(kind, range, rows_max)
        })
    }

    fn log(
        &self,
        scope: &TenantScope,
        log: &LogName,
        range: LogRange,
        rows_max: u32,
    ) -> Read<'_, Vec<(u64, Bytes)>> {
        self.read(scope, Vec::new(), |rows| rows.log(log, range, rows_max))
    }

    fn timers(&self, scope: &TenantScope) -> Read<'_, Vec<Timer>> {
        self.read(scope, Vec::new(), Tenant::timers)
    }

    fn call(&self, scope: &TenantScope, call: &CallId) -> Read<'_, Option<CallRecord>> {
        self.read(scope, None, |rows| rows.call(call))
    }

    fn calls_open(&self, scope: &TenantScope) -> Read<'_, Vec<(CallId, CallRecord)>> {
        self.read(scope, Vec::new(), Tenant::calls_open)
    }

    fn message(&self, scope: &TenantScope, id: MessageId) -> Read<'_, Option<Recorded>> {
        self.read(scope, None, |rows| rows.message(id))
    }

    fn messages(
        &self,
        scope: &TenantScope,
        filter: &MessageFilter,
        page: &PageRequest,
    ) -> Read<'_, Page<Recorded>> {
        let list = List::Messages(filter);
        let after = match page::position(list, scope, page.token.as_deref()) {
            Ok(after) => after.map(|position| position.at),
            Err(error) => return futures::future::ready(Err(error)).boxed(),
        };
        let rows_max = rows_max(page);
        let data = self.disk.0.lock();
        let rows = data
            .tenants
            .get(scope.tenant())
            .map(|rows| rows.messages(filter, after, rows_max + 1));
        let rows = rows.unwrap_or_default().into_iter();
        let rows = rows.map(|(sequence, row)| (Position::of_sequence(sequence), row));
        let page = cut(rows.collect(), rows_max, list, scope);
        futures::future::ready(Ok(page)).boxed()
    }

    fn conversations(
        &self,
        scope: &TenantScope,
        page: &PageRequest,
    ) -> Read<'_, Page<Conversation>> {
        let data = self.disk.0.lock();
        let rows = data.tenants.get(scope.tenant());
        let rows = rows
            .into_iter()
            .flat_map(|rows| rows.conversations.values());
        let position = |c: &Conversation| Position::of_time(c.last, c.id.as_str());
        let rows = rows.map(|c| (position(c), c.clone())).collect();
        futures::future::ready(newest_first(rows, List::Conversations, scope, page)).boxed()
    }

    fn conversation(
        &self,
        scope: &TenantScope,
        id: &ConversationId,
    ) -> Read<'_, Option<Conversation>> {
        self.read(scope, None, |rows| rows.conversations.get(id).cloned())
    }

    fn dead_letters(
        &self,
        scope: &TenantScope,
        page: &PageRequest,
    ) -> Read<'_, Page<(DeadLetter, Arc<Message>)>> {
        let data = self.disk.0.lock();
        let rows = data.tenants.get(scope.tenant());
        let rows = rows.into_iter().flat_map(|rows| rows.dead.values());
        let position = |letter: &DeadLetter| {
            let order = page::dead_letter_order(letter.id.message, letter.id.receiver.as_str());
            Position::of_time(letter.buried, order)
        };
        let rows = rows.map(|row| (position(&row.0), row.clone())).collect();
        futures::future::ready(newest_first(rows, List::DeadLetters, scope, page)).boxed()
    }

    fn dead_letter(
        &self,
        scope: &TenantScope,
        id: &DeadLetterId,
    ) -> Read<'_, Option<(DeadLetter, Arc<Message>)>> {
        self.read(scope, None, |rows| rows.dead.get(id).cloned())
    }

    fn forget_messages(
        &self,
        scope: &TenantScope,
        before: Timestamp,
        rows_max: u32,
    ) -> Read<'_, u32> {
        let mut data = self.disk.0.lock();
        let rows = data.tenants.get_mut(scope.tenant());
        let count = rows.map_or(0, |rows| rows.forget(before, rows_max));
        futures::future::ready(Ok(count)).boxed()
    }

    fn forget_conversations(
        &self,
        scope: &TenantScope,
        before: Timestamp,
        rows_max: u32,
    ) -> Read<'_, u32> {
        let mut data = self.disk.0.lock();
        let rows = data.tenants.get_mut(scope.tenant());
        let count = rows.map_or(0, |rows| rows.forget_conversations(before, rows_max));
        futures::future::ready(Ok(count)).boxed()
    }

    fn forget_conversation(
        &self,
        scope: &TenantScope,
        id: &ConversationId,
        rows_max: u32,
    ) -> Read<'_, u32> {
        let mut data = self.disk.0.lock();
        let rows = data.tenants.get_mut(scope.tenant());
        let count = rows.map_or(0, |rows| rows.forget_conversation(id, rows_max));
        futures::future::ready(Ok(count)).boxed()
    }

    fn placement(&self, scope: &TenantScope) -> Read<'_, Placement> {
        let apart = self.disk.0.lock().dedicated.contains(scope.tenant());
        let placement = match apart {
            true => Placement::Dedicated,
            false => Placement::Shared,
        };
        futures::future::ready(Ok(placement)).boxed()
    }

    fn move_tenant(&self, scope: &TenantScope, to: Placement) -> Read<'_, ()> {
        if let Err(error) = StoreError::refuse_platform(scope) {
            return futures::future::ready(Err(error)).boxed();
        }
        let mut data = self.disk.0.lock();
        match to {
            Placement::Dedicated => data.dedicated.insert(scope.tenant().clone()),
            Placement::Shared => data.dedicated.remove(scope.tenant()),
        };
        futures::future::ready(Ok(())).boxed()
    }

    fn remove_tenant(&self, scope: &TenantScope) -> Read<'_, ()> {
        if let Err(error) = StoreError::refuse_platform(scope) {
            return futures::future::ready(Err(error)).boxed();
        }
        let mut data = self.disk.0.lock();
        data.dedicated.remove(scope.tenant());
        data.tenants.remove(scope.tenant());
        futures::future::ready(Ok(())).boxed()
    }

    fn status(&self) -> Read<'_, StoreStatus> {
        let data = self.disk.0.lock();
        let status = StoreStatus {
            kind: "memory",
            units: data.units,
            failing: data.failing.clone(),
            ..StoreStatus::default()
        };
        futures::future::ready(Ok(status)).boxed()
    }

    fn verify(&self) -> Read<'_, ()> {
        futures::future::ready(Ok(())).boxed()
    }

    fn backup(&self, _into: &Path) -> Read<'_, BackupInfo> {
        let error = StoreError::Failed("a store in memory has nothing to back up".to_owned());
        futures::future::ready(Err(error)).boxed()
    }
}
