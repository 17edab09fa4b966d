//! A store whose status never comes, for the probes that must not wait for it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use caxton_core::conversation::Conversation;
use caxton_core::{AgentName, ConversationId, Digest, Epoch, MailboxId, Message, MessageId};
use caxton_core::{TenantId, Timestamp};
use caxton_engine::TenantScope;
use caxton_engine::port::memory::MemoryStore;
use caxton_engine::port::store::{
    AgentRecord, BackupInfo, CallId, CallRecord, Committed, DeadLetter, DeadLetterId, LogName,
    LogRange, MessageFilter, Page, PageRequest, Pending, Placement, RecordKind, RecordRange,
    Recorded, Store, StoreStatus, Timer, Unit,
};
use caxton_engine::port::{Answer, StoreError};

type Read<'a, T> = Answer<'a, Result<T, StoreError>>;

/// The memory store, which on demand does not tell how it is.
#[derive(Debug)]
pub struct Hanging {
    pub inner: MemoryStore,
    pub hangs: Arc<AtomicBool>,
}

/// Methods that are the inner store's.
macro_rules! inner {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(fn $name<'a>(&'a self, $($arg: $type),*) -> Read<'a, $answer> {
            self.inner.$name($($arg),*)
        })*
    };
}

impl Store for Hanging {
    fn status(&self) -> Read<'_, StoreStatus> {
        if self.hangs.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        self.inner.status()
    }

    inner! {
        fn begin_epoch() -> Epoch;
        fn commit(unit: Unit) -> Committed;
        fn tenants() -> Vec<TenantId>;
        fn agents(scope: &TenantScope) -> Vec<AgentRecord>;
        fn artifact(scope: &TenantScope, digest: Digest) -> Option<Bytes>;
        fn mailboxes(scope: &TenantScope, agent: Option<AgentName>) -> Vec<(MailboxId, u32)>;
        fn pending(scope: &TenantScope, mailbox: &MailboxId, rows_max: u32) -> Vec<Pending>;
        fn state(scope: &TenantScope, mailbox: &MailboxId, key: &str) -> Option<Bytes>;
        fn state_keys(scope: &TenantScope, mailbox: &MailboxId, prefix: &str, after: &str, rows_max: u32) -> Vec<String>;
        fn record(scope: &TenantScope, kind: RecordKind, id: &str) -> Option<Bytes>;
        fn records(scope: &TenantScope, kind: RecordKind, range: RecordRange<'_>, rows_max: u32) -> Vec<(String, Bytes)>;
        fn log(scope: &TenantScope, log: &LogName, range: LogRange, rows_max: u32) -> Vec<(u64, Bytes)>;
        fn timers(scope: &TenantScope) -> Vec<Timer>;
        fn call(scope: &TenantScope, call: &CallId) -> Option<CallRecord>;
        fn calls_open(scope: &TenantScope) -> Vec<(CallId, CallRecord)>;
        fn message(scope: &TenantScope, id: MessageId) -> Option<Recorded>;
        fn messages(scope: &TenantScope, filter: &MessageFilter, page: &PageRequest) -> Page<Recorded>;
        fn conversations(scope: &TenantScope, page: &PageRequest) -> Page<Conversation>;
        fn conversation(scope: &TenantScope, id: &ConversationId) -> Option<Conversation>;
        fn dead_letters(scope: &TenantScope, page: &PageRequest) -> Page<(DeadLetter, Arc<Message>)>;
        fn dead_letter(scope: &TenantScope, id: &DeadLetterId) -> Option<(DeadLetter, Arc<Message>)>;
        fn forget_messages(scope: &TenantScope, before: Timestamp, rows_max: u32) -> u32;
        fn forget_conversations(scope: &TenantScope, before: Timestamp, rows_max: u32) -> u32;
        fn forget_conversation(scope: &TenantScope, id: &ConversationId, rows_max: u32) -> u32;
        fn placement(scope: &TenantScope) -> Placement;
        fn move_tenant(scope: &TenantScope, to: Placement) -> ();
        fn remove_tenant(scope: &TenantScope) -> ();
        fn verify() -> ();
        fn backup(into: &Path) -> BackupInfo;
    }
}
