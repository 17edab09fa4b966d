//! What is written: the operations of one tenant that happen together.

use super::{AgentRecord, CallId, DeadLetter, DeadLetterId, StoreError, Timer};
use crate::opctx::TenantScope;
use bytes::Bytes;
use caxton_core::{AgentName, Digest, Epoch, MailboxId, Message, MessageId};
use std::sync::Arc;

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

/// Which records of a kind, by their ids in byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordRange<'a> {
    /// What the ids begin with.
    pub prefix: &'a str,
    /// Only those behind this id, in the order asked for; empty: from the beginning of that order.
    pub after: &'a str,
    pub descending: bool,
}

impl<'a> RecordRange<'a> {
    /// All that begin so, ascending.
    pub const fn prefix(prefix: &'a str) -> Self {
        Self {
            prefix,
            after: "",
            descending: false,
        }
    }

    /// The same behind an id.
    #[must_use]
    pub const fn after(self, after: &'a str) -> Self {
        Self { after, ..self }
    }

    /// Of a descending range: what all its ids are below.
    pub fn before(&self) -> String {
        let end = format!("{}{}", self.prefix, char::MAX);
        match self.after {
            "" => end,
            after => end.min(after.to_owned()),
        }
    }
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
