//! Where everything durable lives. Writes are [`Unit`]s: lists of operations of one tenant that
//! happen together or not at all; the adapter may commit many units of many tenants with one sync.
//! Reads are plain queries. Every method takes a [`TenantScope`].

use super::Answer;
use crate::opctx::TenantScope;
use bytes::Bytes;
use caxton_core::conversation::Conversation;
use caxton_core::error::{Code, Error};
use caxton_core::lifecycle::Phase;
use caxton_core::{
    AgentId, AgentName, ConversationId, Digest, Epoch, MailboxId, Manifest, Message, MessageId,
    TenantId, Timestamp,
};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Most rows one page of a list has.
pub const PAGE_ROWS_MAX: u32 = 1000;

/// One tenant's operations that happen together.
#[derive(Clone, Debug)]
pub struct Unit {
    pub scope: TenantScope,
    /// The owner's epoch; refused with [`StoreError::Fenced`] when older than the store's.
    pub epoch: Epoch,
    pub ops: Vec<Op>,
}

/// One write.
#[derive(Clone, Debug)]
pub enum Op {
    /// Records the message and puts it into these mailboxes. A message id that is already recorded
    /// in this tenant changes nothing: see [`Committed::duplicates`]. `mailboxes` may be empty: a
    /// message to somebody outside, kept as history.
    Deliver {
        message: Arc<Message>,
        mailboxes: Vec<MailboxId>,
    },
    /// The message is handled and leaves the mailbox.
    Ack {
        mailbox: MailboxId,
        message: MessageId,
    },
    /// A try failed; the message stays and this many tries are recorded.
    Attempt {
        mailbox: MailboxId,
        message: MessageId,
        attempts: u32,
    },
    /// The message leaves the mailbox, if it is there, and becomes a dead letter. `message` records
    /// it first where it is not recorded yet.
    Bury {
        letter: DeadLetter,
        message: Arc<Message>,
    },
    /// A dead letter is forgotten.
    DeadLetterRemove {
        id: DeadLetterId,
    },
    /// A value of an agent's state (of one mailbox's, where it has several).
    StatePut {
        mailbox: MailboxId,
        key: String,
        value: Bytes,
    },
    StateRemove {
        mailbox: MailboxId,
        key: String,
    },
    TimerPut(Timer),
    TimerRemove {
        mailbox: MailboxId,
        name: String,
    },
    /// A waiting call is about to leave.
    CallBegin {
        call: CallId,
        request: Arc<Message>,
    },
    /// Its answer.
    CallEnd {
        call: CallId,
        answer: Arc<Message>,
    },
    /// All calls that the handling of this message made are forgotten (it is handled, or buried).
    CallsRemove {
        mailbox: MailboxId,
        message: MessageId,
    },
    /// Adds or replaces an agent.
    AgentPut(Box<AgentRecord>),
    /// Removes the agent with its mailboxes, state, timers and calls. Messages stay as history.
    AgentRemove {
        agent: AgentName,
    },
    /// A component's bytes, by their digest; twice the same is once.
    ArtifactPut {
        digest: Digest,
        bytes: Bytes,
    },
    /// Adds or replaces a record: a small document of some noun (a key, a quota, a setting), in the
    /// form its noun gives it.
    RecordPut {
        kind: RecordKind,
        id: String,
        body: Bytes,
    },
    RecordRemove {
        kind: RecordKind,
        id: String,
    },
    /// Adds an entry to a log. An index that the log has already fails the unit: what was written
    /// is never written over.
    LogPut {
        log: LogName,
        index: u64,
        body: Bytes,
    },
    /// Forgets a log's entries before an index.
    LogTrim {
        log: LogName,
        before: u64,
    },
}

/// Which noun a record is of: a constant of the module that the noun belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKind(pub &'static str);

/// A log of a tenant: entries under growing indices, appended and read, never changed. `key` tells
/// logs of one kind apart (a session's, a job's) and is empty where the tenant has one of the kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogName {
    pub kind: &'static str,
    pub key: String,
}

impl LogName {
    pub const fn of(kind: &'static str) -> Self {
        Self {
            kind,
            key: String::new(),
        }
    }
}

/// Which entries of a log: indices from `from` to below `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRange {
    pub from: u64,
    pub before: u64,
    pub newest_first: bool,
}

impl LogRange {
    /// All of it, oldest first.
    pub const ALL: Self = Self {
        from: 0,
        before: u64::MAX,
        newest_first: false,
    };
    /// The newest entry, with `rows_max` 1.
    pub const NEWEST: Self = Self {
        newest_first: true,
        ..Self::ALL
    };
}

impl Unit {
    /// Whether everything in it is of its scope's tenant. A store asks before it writes: a unit that
    /// is not is [`StoreError::Failed`] and writes nothing.
    pub fn check(&self) -> Result<(), StoreError> {
        let tenant = self.scope.tenant();
        let ours = |mailbox: &MailboxId| mailbox.agent.tenant == *tenant;
        let fits = self.ops.iter().all(|op| match op {
            Op::Deliver { message, mailboxes } => {
                message.tenant == *tenant && mailboxes.iter().all(ours)
            }
            Op::Bury { letter, message } => {
                message.tenant == *tenant
                    && ours(&letter.mailbox)
                    && letter.id.message == message.id
                    && letter.id.receiver == letter.mailbox.agent.name
            }
            Op::Ack { mailbox, .. }
            | Op::Attempt { mailbox, .. }
            | Op::StatePut { mailbox, .. }
            | Op::StateRemove { mailbox, .. }
            | Op::TimerRemove { mailbox, .. }
            | Op::CallsRemove { mailbox, .. } => ours(mailbox),
            Op::TimerPut(timer) => ours(&timer.mailbox),
            Op::CallBegin { call, request } => ours(&call.mailbox) && request.tenant == *tenant,
            Op::CallEnd { call, answer } => ours(&call.mailbox) && answer.tenant == *tenant,
            Op::DeadLetterRemove { .. }
            | Op::AgentPut(_)
            | Op::AgentRemove { .. }
            | Op::ArtifactPut { .. }
            | Op::RecordPut { .. }
            | Op::RecordRemove { .. }
            | Op::LogPut { .. }
            | Op::LogTrim { .. } => true,
        });
        if fits {
            return Ok(());
        }
        Err(StoreError::Failed(format!(
            "the unit of tenant {tenant} names what is not its own"
        )))
    }
}

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Indices of `Deliver` operations whose message id was recorded before: they did nothing.
    pub duplicates: Vec<usize>,
}

/// A deployed agent, as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRecord {
    pub agent: AgentName,
    pub manifest: Manifest,
    /// Absent for native behaviors.
    pub digest: Option<Digest>,
    /// Where it stood: what ran runs again after a restart.
    pub phase: Phase,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// A message in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    pub message: Arc<Message>,
    /// Tries that failed.
    pub attempts: u32,
}

/// Dead letters are one per (message, receiver).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId {
    pub message: MessageId,
    pub receiver: AgentName,
}

impl fmt::Display for DeadLetterId {
    /// `MESSAGE:RECEIVER`, as the API has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.message, self.receiver)
    }
}

impl DeadLetterId {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fail = || {
            Error::new(
                Code::IdMalformed,
                format!(
                    "`{}` is not a dead letter's id (MESSAGE:RECEIVER)",
                    caxton_core::error::shown(text)
                ),
            )
        };
        let (message, receiver) = text.split_once(':').ok_or_else(fail)?;
        Ok(Self {
            message: MessageId::parse(message).map_err(|_| fail())?,
            receiver: AgentName::parse(receiver).map_err(|_| fail())?,
        })
    }
}

/// A message that was given up on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub id: DeadLetterId,
    pub mailbox: MailboxId,
    /// A `CX-####`.
    pub code: String,
    pub reason: String,
    pub attempts: u32,
    pub buried: Timestamp,
}

impl DeadLetter {
    /// Where the message stands with this letter's receiver.
    pub fn status(&self) -> DeliveryStatus {
        DeliveryStatus {
            mailbox: self.mailbox.clone(),
            state: DeliveryState::Dead,
            attempts: self.attempts,
            error: Some(format!("{}: {}", self.code, self.reason)),
        }
    }
}

/// A timer of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    pub mailbox: MailboxId,
    pub name: String,
    pub due: Timestamp,
    pub content: Bytes,
    /// The message whose handling set it: its trace goes on when the timer fires.
    pub origin: Option<MessageId>,
}

/// A waiting call: the `index`-th of the handling of `message` in `mailbox`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    pub mailbox: MailboxId,
    pub message: MessageId,
    pub index: u32,
}

/// A call as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    pub request: Arc<Message>,
    pub answer: Option<Arc<Message>>,
}

/// Where a recorded message stands with one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryStatus {
    pub mailbox: MailboxId,
    pub state: DeliveryState,
    pub attempts: u32,
    /// The code and reason of a dead letter.
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    Pending,
    Dead,
}

/// A recorded message. Receivers that have no row in `open` have handled it (or were outside).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub message: Arc<Message>,
    pub open: Vec<DeliveryStatus>,
}

/// Which messages to list. All given conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    pub conversation: Option<ConversationId>,
    /// Sender or a receiver.
    pub agent: Option<AgentName>,
    pub trace_id: Option<[u8; 16]>,
}

impl MessageFilter {
    pub fn matches(&self, message: &Message) -> bool {
        let conversation = self.conversation.as_ref();
        let trace = self.trace_id.as_ref();
        let in_tenant =
            |id: &AgentId, name: &AgentName| id.name == *name && id.tenant == message.tenant;
        let agent_matches = self.agent.as_ref().is_none_or(|name| {
            let receivers = message.acl.receivers.iter().map(|receiver| &receiver.id);
            let mut named = message.sender().into_iter().chain(receivers);
            named.any(|id| in_tenant(id, name))
        });
        agent_matches
            && conversation.is_none_or(|id| message.acl.conversation_id.as_ref() == Some(id))
            && trace.is_none_or(|id| message.trace.trace_id == *id)
    }
}

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
    /// Records of a kind whose ids begin with `prefix`, in byte order, strictly after `after`.
    fn records(
        &self,
        scope: &TenantScope,
        kind: RecordKind,
        prefix: &str,
        after: &str,
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
