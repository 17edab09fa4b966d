//! Where everything durable lives. Writes are [`Unit`]s: lists of operations of one tenant that
//! happen together or not at all; the adapter may commit many units of many tenants with one sync.
//! Reads are plain queries. Every method takes a [`TenantScope`].

mod rows;
mod unit;

pub use rows::*;
pub use unit::*;

use super::Answer;
use crate::opctx::TenantScope;
use bytes::Bytes;
use caxton_core::conversation::Conversation;
use caxton_core::error::{Code, Error};
use caxton_core::{
    AgentName, ConversationId, Digest, Epoch, MailboxId, Message, MessageId, TenantId, Timestamp,
};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Most rows one page of a list has.
pub const PAGE_ROWS_MAX: u32 = 1000;

/// A page of a list: rows after the token's row.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// Opaque; give it back to get the rows after these. Absent on the last page.
    pub next: Option<String>,
}

/// Which page.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// 1 to [`PAGE_ROWS_MAX`].
    pub rows_max: u32,
    /// [`Page::next`] of the page before. A forged one is [`StoreError::BadToken`].
    pub token: Option<String>,
}

impl PageRequest {
    pub fn first(rows_max: u32) -> Self {
        Self {
            rows_max: rows_max.clamp(1, PAGE_ROWS_MAX),
            token: None,
        }
    }
}

/// What the store says of itself: for probes, metrics and `server status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    pub kind: &'static str,
    /// Bytes on disk, all files.
    pub bytes: u64,
    pub schema_version: u32,
    /// Units committed and syncs done since the start.
    pub units: u64,
    pub syncs: u64,
    /// The last write's error, until a write succeeds again.
    pub failing: Option<String>,
}

/// Where a tenant's data is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// With the other tenants' in one file, whose syncs are everybody's.
    #[default]
    Shared,
    /// In a file of its own.
    Dedicated,
}

/// A backup as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupInfo {
    pub name: String,
    pub created: Timestamp,
    pub bytes: u64,
    pub schema_version: u32,
    pub sha256: Digest,
}

/// Why the store did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("a newer owner has taken over")]
    Fenced,
    #[error("too many writes wait")]
    Busy,
    #[error("the disk is full: {0}")]
    Full(String),
    #[error("the database is damaged: {0}")]
    Damaged(String),
    #[error("written by a newer version: schema {found}, known {known}")]
    Newer { found: u32, known: u32 },
    #[error("the page token is not of this list")]
    BadToken,
    #[error("no such backup: {0}")]
    NoBackup(String),
    #[error("storage failed: {0}")]
    Failed(String),
}

impl StoreError {
    /// The refusal of an [`Op::LogPut`] whose index is taken.
    pub fn written_over(log: &LogName, index: u64) -> Self {
        Self::Failed(format!(
            "log {} {} has an entry {index} already",
            log.kind, log.key
        ))
    }

    /// The platform's own data stays where it is: no tenant's operation names it.
    pub fn refuse_platform(scope: &TenantScope) -> Result<(), Self> {
        if scope.tenant().is_platform() {
            let text = "the platform's own data is neither moved nor removed";
            return Err(Self::Failed(text.to_owned()));
        }
        Ok(())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Fenced => Code::OwnerFenced,
            StoreError::Busy => Code::StorageBusy,
            StoreError::Full(_) => Code::StorageFull,
            StoreError::Damaged(_) => Code::StorageDamaged,
            StoreError::Newer { .. } => Code::SchemaNewer,
            StoreError::BadToken => Code::ParameterMalformed,
            StoreError::NoBackup(_) => Code::BackupNotFound,
            StoreError::Failed(_) => Code::StorageFailed,
        };
        Self::new(code, error.to_string())
    }
}

type Read<'a, T> = Answer<'a, Result<T, StoreError>>;

/// The port. Cheap to share; every method may be called from any task.
pub trait Store: Send + Sync + fmt::Debug {
    /// Begins an ownership: raises and returns the epoch. Called once, at the start of a server.
    fn begin_epoch(&self) -> Read<'_, Epoch>;

    /// Commits a unit. Completes when it is durable. Units submitted one after the other by one
    /// task, each before the former completes, are committed in that order.
    fn commit(&self, unit: Unit) -> Read<'_, Committed>;

    /// Every tenant that has data, [`TenantId::platform`] not among them: for the server's own work
    /// at start.
    fn tenants(&self) -> Read<'_, Vec<TenantId>>;

    fn agents(&self, scope: &TenantScope) -> Read<'_, Vec<AgentRecord>>;
    fn artifact(&self, scope: &TenantScope, digest: Digest) -> Read<'_, Option<Bytes>>;

    /// The mailboxes of an agent (or of all the tenant's agents) that have unhandled messages, with
    /// their number.
    fn mailboxes(
        &self,
        scope: &TenantScope,
        agent: Option<AgentName>,
    ) -> Read<'_, Vec<(MailboxId, u32)>>;
    /// The unhandled messages of a mailbox in the order they were accepted, `rows_max` at most.
    fn pending(
        &self,
        scope: &TenantScope,
        mailbox: &MailboxId,
        rows_max: u32,
    ) -> Read<'_, Vec<Pending>>;

    fn state(&self, scope: &TenantScope, mailbox: &MailboxId, key: &str)
    -> Read<'_, Option<Bytes>>;
    /// Keys that begin with `prefix`, in byte order, strictly after `after`.
    fn state_keys(
        &self,
        scope: &TenantScope,
        mailbox: &MailboxId,
        prefix: &str,
        after: &str,
        rows_max: u32,
    ) -> Read<'_, Vec<String>>;

    fn record(&self, scope: &TenantScope, kind: RecordKind, id: &str) -> Read<'_, Option<Bytes>>;
    /// Records of a kind with their ids, `rows_max` at most.
    fn records(
        &self,
        scope: &TenantScope,
        kind: RecordKind,
        range: RecordRange<'_>,
        rows_max: u32,
    ) -> Read<'_, Vec<(String, Bytes)>>;
    /// Entries of a log with their indices, `rows_max` at most.
    fn log(
        &self,
        scope: &TenantScope,
        log: &LogName,
        range: LogRange,
        rows_max: u32,
    ) -> Read<'_, Vec<(u64, Bytes)>>;

    /// All timers of the tenant.
    fn timers(&self, scope: &TenantScope) -> Read<'_, Vec<Timer>>;
    fn call(&self, scope: &TenantScope, call: &CallId) -> Read<'_, Option<CallRecord>>;
    /// The tenant's calls that have no answer yet: read once, at start.
    fn calls_open(&self, scope: &TenantScope) -> Read<'_, Vec<(CallId, CallRecord)>>;

    fn message(&self, scope: &TenantScope, id: MessageId) -> Read<'_, Option<Recorded>>;
    /// Newest first, unless a conversation or a trace is asked for: then oldest first.
    fn messages(
        &self,
        scope: &TenantScope,
        filter: &MessageFilter,
        page: &PageRequest,
    ) -> Read<'_, Page<Recorded>>;
    /// Most recently active first.
    fn conversations(
        &self,
        scope: &TenantScope,
        page: &PageRequest,
    ) -> Read<'_, Page<Conversation>>;
    fn conversation(
        &self,
        scope: &TenantScope,
        id: &ConversationId,
    ) -> Read<'_, Option<Conversation>>;
    /// Newest first.
    fn dead_letters(
        &self,
        scope: &TenantScope,
        page: &PageRequest,
    ) -> Read<'_, Page<(DeadLetter, Arc<Message>)>>;
    fn dead_letter(
        &self,
        scope: &TenantScope,
        id: &DeadLetterId,
    ) -> Read<'_, Option<(DeadLetter, Arc<Message>)>>;

    /// Forgets handled messages older than `before` that no mailbox, dead letter or call needs,
    /// `rows_max` at most; says how many.
    fn forget_messages(
        &self,
        scope: &TenantScope,
        before: Timestamp,
        rows_max: u32,
    ) -> Read<'_, u32>;

    /// Forgets the summaries of conversations that were last active before `before` and of which no
    /// message is recorded any more, `rows_max` at most; says how many.
    fn forget_conversations(
        &self,
        scope: &TenantScope,
        before: Timestamp,
        rows_max: u32,
    ) -> Read<'_, u32>;

    /// Forgets what was said in a conversation: its messages that no mailbox and no call needs, and
    /// their dead letters, `rows_max` messages at most; says how many. Its summary goes with the last.
    fn forget_conversation(
        &self,
        scope: &TenantScope,
        id: &ConversationId,
        rows_max: u32,
    ) -> Read<'_, u32>;

    /// Where the tenant's data is; of a tenant without any: where it would go.
    fn placement(&self, scope: &TenantScope) -> Read<'_, Placement>;
    /// Moves everything of the tenant, while it is used: what is committed meanwhile waits and goes
    /// to the new place in its order, reads go on. Where the data is there already, nothing happens;
    /// a tenant without data is given the place for what will come. After an error, as after a
    /// crash, all is at the old place or all at the new one. Goes on when the caller stops waiting.
    fn move_tenant(&self, scope: &TenantScope, to: Placement) -> Read<'_, ()>;
    /// Removes everything of the tenant, its own file included. What was committed before this call
    /// is gone; what is committed after it begins the tenant anew, so stop its agents first. After an
    /// error nothing of it is seen any more or all of it is there, and another call finishes. Goes on
    /// when the caller stops waiting.
    fn remove_tenant(&self, scope: &TenantScope) -> Read<'_, ()>;

    fn status(&self) -> Read<'_, StoreStatus>;
    /// Checks the whole database; an error names what is damaged.
    fn verify(&self) -> Read<'_, ()>;
    /// Copies everything, consistently and while writes go on, into a new folder `into`.
    fn backup(&self, into: &Path) -> Read<'_, BackupInfo>;
}
