//! A job as it is kept: a small record that lists read, and beside it the answer, which may be large.

use crate::documents::Document;
use crate::port::store::{Op, RecordKind};
use bytes::Bytes;
use caxton_core::error::{Code, Error};
use caxton_core::{AgentName, ConversationId, Message, MessageId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Kept; its agent has not begun.
    Submitted,
    /// Its agent has begun, and has not answered.
    Running,
    /// The agent has answered.
    Complete,
    /// It has not, or its answer says no: the job's error tells.
    Failed,
    /// Nobody waits for the answer any more.
    Cancelled,
}

impl JobState {
    pub const ALL: [Self; 5] = [
        Self::Submitted,
        Self::Running,
        Self::Complete,
        Self::Failed,
        Self::Cancelled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing will change any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Cancelled)
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// How far a job's message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Delivery {
    /// The agent has not taken it.
    Waiting,
    /// It is in the mailbox of an agent that loses nothing.
    Durable,
    /// It is in memory only, as the agent's manifest wants it.
    Transient,
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// A `CX-####`.
    pub code: String,
    pub detail: String,
}

/// A job. Its id is the id of its message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    pub id: MessageId,
    pub agent: AgentName,
    /// Who submitted it, as the audit names people.
    pub by: String,
    /// In whose name its message left.
    pub sender: AgentName,
    pub state: JobState,
    pub conversation: Option<ConversationId>,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// When it fails for want of an answer.
    pub deadline: Timestamp,
    /// Tries of giving the message to the agent.
    pub attempts: u32,
    pub attempts_max: u32,
    pub error: Option<JobError>,
    /// Size of the answer's content.
    pub reply_bytes: u64,
}

impl Document for JobRecord {
    const KIND: RecordKind = RecordKind("job");
}

/// Says that a job is not over, and how far it is: what a start looks for. Apart from the job's own
/// record, so that the record is written twice only, at its beginning and its end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OpenJob {
    pub(crate) id: MessageId,
    pub(crate) delivery: Delivery,
    /// When the agent began, once it is done with the message and its answer is still due: nobody
    /// gives it the message again, so that nothing else would tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started: Option<Timestamp>,
}

impl Document for OpenJob {
    const KIND: RecordKind = RecordKind("job-open");
}

/// The records of answers.
pub(crate) const REPLY: RecordKind = RecordKind("job-reply");

/// The id of a job's records: such that the newest job comes first.
pub(crate) fn record_id(id: MessageId) -> String {
    let bits = !u128::from_be_bytes(*id.as_bytes());
    format!("{bits:032x}")
}

/// After the records of all jobs made at this time or later, and before all others.
pub(crate) fn older_than(at: Timestamp) -> String {
    let bits = !(u128::from(at.as_ms()) << 80);
    format!("{bits:032x}")
}

/// Keeps an answer: its parameters as JSON, then its content as it is.
pub(crate) fn put_reply(id: MessageId, reply: &Message) -> Result<Op, Error> {
    let mut head = reply.clone();
    let content = std::mem::take(&mut head.acl.content);
    let head =
        serde_json::to_vec(&head).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    let mut body = (head.len() as u64).to_be_bytes().to_vec();
    body.extend_from_slice(&head);
    body.extend_from_slice(&content);
    Ok(Op::RecordPut {
        kind: REPLY,
        id: record_id(id),
        body: body.into(),
    })
}

/// Reads what [`put_reply`] wrote.
pub(crate) fn read_reply(body: &Bytes) -> Result<Arc<Message>, Error> {
    let damaged = |what: &str| {
        let detail = format!("the answer of a job cannot be read: {what}");
        Error::new(Code::StorageDamaged, detail)
    };
    let (length, rest) = body.split_at_checked(8).ok_or_else(|| damaged("no head"))?;
    let length = length.try_into().map_or(u64::MAX, u64::from_be_bytes);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (head, _) = rest
        .split_at_checked(length)
        .ok_or_else(|| damaged("its head is cut off"))?;
    let mut message: Message =
        serde_json::from_slice(head).map_err(|error| damaged(&error.to_string()))?;
    message.acl.content = body.slice(8 + length..);
    Ok(Arc::new(message))
}
