//! The disk between the engine and its memory store: it refuses, delays and reorders commits of
//! different tasks, loses answers, reads slowly, and stops the world before or after any write.
//!
//! A unit that was submitted is written whether or not whoever submitted it still waits, as a
//! writer thread does.

use super::clock::pass;
use super::world::{Crash, Fate, World};
use bytes::Bytes;
use caxton_core::conversation::Conversation;
use caxton_core::{
    AgentName, ConversationId, Digest, Epoch, MailboxId, Message, MessageId, TenantId, Timestamp,
};
use caxton_engine::TenantScope;
use caxton_engine::port::store::{
    AgentRecord, BackupInfo, CallId, CallRecord, Committed, DeadLetter, DeadLetterId, LogName,
    LogRange, MessageFilter, Page, PageRequest, Pending, Placement, RecordKind, RecordRange,
    Recorded, Store, StoreError, StoreStatus, Timer, Unit,
};
use caxton_engine::port::{Answer, MemoryDisk, MemoryStore};
use futures::FutureExt;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

type Read<'a, T> = Answer<'a, Result<T, StoreError>>;
type Outcome = Result<Committed, StoreError>;

struct Submitted {
    task: Option<tokio::task::Id>,
    unit: Unit,
    fate: Fate,
    answer: oneshot::Sender<Outcome>,
}

/// What waits to be written, in the order in which it will be.
#[derive(Default)]
struct Queue {
    waiting: BTreeMap<(Instant, u64), Submitted>,
    submitted: u64,
}

/// The store as the engine sees it.
pub(super) struct SimStore {
    world: Arc<World>,
    inner: MemoryStore,
    queue: Mutex<Queue>,
    bell: Notify,
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimStore")
    }
}

impl SimStore {
    /// Opens the disk; must be called inside the life's runtime.
    pub(super) fn open(world: &Arc<World>, disk: &MemoryDisk) -> Arc<Self> {
        let store = Arc::new(Self {
            world: Arc::clone(world),
            inner: MemoryStore::open(disk.clone()),
            queue: Mutex::default(),
            bell: Notify::new(),
        });
        tokio::spawn(Arc::clone(&store).write_as_due());
        store
    }

    async fn write_as_due(self: Arc<Self>) {
        loop {
            let next = self.queue().waiting.keys().next().map(|(due, _)| *due);
            let Some(due) = next else {
                self.bell.notified().await;
                continue;
            };
            if due > Instant::now() {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(due) => {}
                    () = self.bell.notified() => {}
                }
                continue;
            }
            let first = self.queue().waiting.pop_first();
            if let Some((_, submitted)) = first
                && let Some(outcome) = self.write(submitted.unit, &submitted.fate)
            {
                let _ = submitted.answer.send(outcome);
            }
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&self, unit: Unit, fate: Fate) -> oneshot::Receiver<Outcome> {
        let (answer, outcome) = oneshot::channel();
        let task = tokio::task::try_id();
        let mut queue = self.queue();
        // What one task submits stays in its order.
        let former = queue.waiting.iter().rev();
        let former = former.filter(|(_, other)| other.task == task && task.is_some());
        let after = former.map(|((due, _), _)| *due).next();
        if fate.before.is_zero() && after.is_none() {
            drop(queue);
            if let Some(outcome) = self.write(unit, &fate) {
                let _ = answer.send(outcome);
            }
            return outcome;
        }
        let due = Instant::now() + fate.before;
        let due = after.map_or(due, |after| due.max(after));
        queue.submitted += 1;
        let number = queue.submitted;
        let submitted = Submitted {
            task,
            unit,
            fate,
            answer,
        };
        queue.waiting.insert((due, number), submitted);
        drop(queue);
        self.bell.notify_one();
        outcome
    }

    /// Writes one unit; `None` where the server died at it.
    fn write(&self, unit: Unit, fate: &Fate) -> Option<Outcome> {
        if self.world.is_dead() {
            return None;
        }
        if fate.refuse {
            let state = &mut *self.world.lock();
            state.stats.commits_refused += 1;
            let line = format!("refused: {}", state.ledger.shown(&unit));
            state.say(&line);
            let full = StoreError::Full("as the dice have it".to_owned());
            return Some(Err(full));
        }
        let crash = self.world.counts_write();
        if crash == Some(Crash::Before) {
            self.world.kill("dies before a write");
            return None;
        }
        let outcome = self
            .inner
            .commit(unit.clone())
            .now_or_never()
            .unwrap_or(Err(StoreError::Busy));
        if let Ok(committed) = &outcome {
            self.world.applied(&unit, committed);
        }
        if crash == Some(Crash::After) {
            self.world.kill("dies after a write");
            return None;
        }
        if fate.lose && outcome.is_ok() {
            let state = &mut *self.world.lock();
            state.stats.answers_lost += 1;
            state.say("and its answer is lost");
            return Some(Err(StoreError::Failed("the answer was lost".to_owned())));
        }
        Some(outcome)
    }

    /// A read takes its time, and may fail; the dead read nothing.
    async fn reading(&self) -> Result<(), StoreError> {
        let (wait, fails) = self.world.read();
        if !wait.is_zero() {
            pass(wait).await;
        }
        if self.world.is_dead() {
            std::future::pending::<()>().await;
        }
        if fails {
            self.world.say("a read fails");
            return Err(StoreError::Failed("the read failed".to_owned()));
        }
        Ok(())
    }
}

impl Store for SimStore {
    fn begin_epoch(&self) -> Read<'_, Epoch> {
        self.inner.begin_epoch()
    }

    fn commit(&self, unit: Unit) -> Read<'_, Committed> {
        let fate = self.world.fate();
        let after = fate.after;
        let outcome = self.submit(unit, fate);
        Box::pin(async move {
            let outcome = match outcome.await {
                Ok(outcome) => outcome,
                // The dead do not answer.
                Err(_) => std::future::pending().await,
            };
            if !after.is_zero() {
                pass(after).await;
            }
            outcome
        })
    }

    fn tenants(&self) -> Read<'_, Vec<TenantId>> {
        self.inner.tenants()
    }

    fn agents(&self, scope: &TenantScope) -> Read<'_, Vec<AgentRecord>> {
        self.inner.agents(scope)
    }

    fn artifact(&self, scope: &TenantScope, digest: Digest) -> Read<'_, Option<Bytes>> {
        let scope = scope.clone();
        Box::pin(async move {
            self.reading().await?;
            self.inner.artifact(&scope, digest).await
        })
    }

    fn mailboxes(
        &self,
        scope: &TenantScope,
        agent: Option<AgentName>,
    ) -> Read<'_, Vec<(MailboxId, u32)>> {
        self.inner.mailboxes(scope, agent)
    }

    fn pending(
        &self,
        scope: &TenantScope,
        mailbox: &MailboxId,
        rows_max: u32,
    ) -> Read<'_, Vec<Pending>> {
        self.inner.pending(scope, mailbox, rows_max)
    }

    fn state(
        &self,
        scope: &TenantScope,
        mailbox: &MailboxId,
        key: &str,
    ) -> Read<'_, Option<Bytes>> {
        let (scope, mailbox, key) = (scope.clone(), mailbox.clone(), key.to_owned());
        Box::pin(async move {
            self.reading().await?;
            self.inner.state(&scope, &mailbox, &key).await
        })
    }

    fn state_keys(
        &self,
        scope: &TenantScope,
        mailbox: &MailboxId,
        prefix: &str,
        after: &str,
        rows_max: u32,
    ) -> Read<'_, Vec<String>> {
        self.inner
            .state_keys(scope, mailbox, prefix, after, rows_max)
    }

    fn record(&self, scope: &TenantScope, kind: RecordKind, id: &str) -> Read<'_, Option<Bytes>> {
        let (scope, id) = (scope.clone(), id.to_owned());
        Box::pin(async move {
            self.reading().await?;
            self.inner.record(&scope, kind, &id).await
        })
    }

    fn records(
        &self,
        scope: &TenantScope,
        kind: RecordKind,
        range: RecordRange<'_>,
        rows_max: u32,
    ) -> Read<'_, Vec<(String, Bytes)>> {
        self.inner.records(scope, kind, range, rows_max)
    }

    fn log(
        &self,
        scope: &TenantScope,
        log: &LogName,
        range: LogRange,
        rows_max: u32,
    ) -> Read<'_, Vec<(u64, Bytes)>> {
        self.inner.log(scope, log, range, rows_max)
    }

    fn timers(&self, scope: &TenantScope) -> Read<'_, Vec<Timer>> {
        self.inner.timers(scope)
    }

    fn call(&self, scope: &TenantScope, call: &CallId) -> Read<'_, Option<CallRecord>> {
        let (scope, call) = (scope.clone(), call.clone());
        Box::pin(async move {
            self.reading().await?;
            self.inner.call(&scope, &call).await
        })
    }

    fn calls_open(&self, scope: &TenantScope) -> Read<'_, Vec<(CallId, CallRecord)>> {
        self.inner.calls_open(scope)
    }

    fn message(&self, scope: &TenantScope, id: MessageId) -> Read<'_, Option<Recorded>> {
        let scope = scope.clone();
        Box::pin(async move {
            self.reading().await?;
            self.inner.message(&scope, id).await
        })
    }

    fn messages(
        &self,
        scope: &TenantScope,
        filter: &MessageFilter,
        page: &PageRequest,
    ) -> Read<'_, Page<Recorded>> {
        self.inner.messages(scope, filter, page)
    }

    fn conversations(
        &self,
        scope: &TenantScope,
        page: &PageRequest,
    ) -> Read<'_, Page<Conversation>> {
        self.inner.conversations(scope, page)
    }

    fn conversation(
        &self,
        scope: &TenantScope,
        id: &ConversationId,
    ) -> Read<'_, Option<Conversation>> {
        self.inner.conversation(scope, id)
    }

    fn dead_letters(
        &self,
        scope: &TenantScope,
        page: &PageRequest,
    ) -> Read<'_, Page<(DeadLetter, Arc<Message>)>> {
        self.inner.dead_letters(scope, page)
    }

    fn dead_letter(
        &self,
        scope: &TenantScope,
        id: &DeadLetterId,
    ) -> Read<'_, Option<(DeadLetter, Arc<Message>)>> {
        self.inner.dead_letter(scope, id)
    }

    fn forget_messages(
        &self,
        scope: &TenantScope,
        before: Timestamp,
        rows_max: u32,
    ) -> Read<'_, u32> {
        self.inner.forget_messages(scope, before, rows_max)
    }

    fn forget_conversations(
        &self,
        scope: &TenantScope,
        before: Timestamp,
        rows_max: u32,
    ) -> Read<'_, u32> {
        self.inner.forget_conversations(scope, before, rows_max)
    }

    fn forget_conversation(
        &self,
        scope: &TenantScope,
        id: &ConversationId,
        rows_max: u32,
    ) -> Read<'_, u32> {
        self.inner.forget_conversation(scope, id, rows_max)
    }

    fn placement(&self, scope: &TenantScope) -> Read<'_, Placement> {
        self.inner.placement(scope)
    }

    fn move_tenant(&self, scope: &TenantScope, to: Placement) -> Read<'_, ()> {
        self.inner.move_tenant(scope, to)
    }

    fn remove_tenant(&self, scope: &TenantScope) -> Read<'_, ()> {
        self.inner.remove_tenant(scope)
    }

    fn status(&self) -> Read<'_, StoreStatus> {
        self.inner.status()
    }

    fn verify(&self) -> Read<'_, ()> {
        self.inner.verify()
    }

    fn backup(&self, into: &Path) -> Read<'_, BackupInfo> {
        self.inner.backup(into)
    }
}
