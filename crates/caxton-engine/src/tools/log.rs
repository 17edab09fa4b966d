//! The log of tool calls: what was called with which arguments, how it ended, how long it took and
//! what it cost. A call that changes the world stands in the log before it is made, and its answer
//! before the agent gets it, so that a handler that is run again after a crash gets the same answer and
//! no such call is made twice. All others are written in batches, at most a second later.

use super::ToolMeters;
use crate::documents::{self, Document, Documents};
use crate::opctx::TenantScope;
use crate::port::store::{Op, Page, PageRequest, RecordKind};
use crate::port::tool::ToolAnswer;
use caxton_core::error::{Code, Error};
use caxton_core::model::Part;
use caxton_core::session::TurnId;
use caxton_core::tool::{ToolId, ToolKind};
use caxton_core::{AgentName, MessageId, TenantId, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;

/// Entries that wait to be written.
const WAITING_MAX: usize = 10_000;
/// Entries written in one commit.
const BATCH_ROWS: usize = 200;
/// Pages looked through for one page of a filtered list.
const SCAN_PAGES_MAX: u32 = 50;
/// Entries forgotten in one commit.
const FORGET_ROWS: u32 = 200;

/// Which call: of a message to an agent, the n-th.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallId {
    /// The delivery's own id: two receivers of one message have nothing in common.
    pub(crate) message: MessageId,
    pub(crate) index: u32,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.t{:04}", self.message, self.index)
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolOutcome {
    /// It has not.
    Open,
    Ok,
    /// The tool failed in its own terms.
    Error,
    /// It was not permitted, or a person said no.
    Denied,
    /// It was shown and not made.
    Sandbox,
    /// There was no answer, or none that could be used; the code says why.
    Failed,
    /// The server stopped while it was on its way.
    Interrupted,
    /// Whoever called gave it up.
    Cancelled,
}

impl ToolOutcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Denied => "denied",
            Self::Sandbox => "sandbox",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A call, as kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCallRecord {
    pub id: String,
    pub tool: ToolId,
    pub kind: ToolKind,
    /// Whose call it is; none where a person tries a tool.
    pub agent: Option<AgentName>,
    pub session: Option<String>,
    pub turn: Option<TurnId>,
    /// Without what its schema calls secret.
    pub arguments: Value,
    pub outcome: ToolOutcome,
    /// `CX-####`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, or what the tool said of its failure.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    pub result_bytes: u64,
    pub cost_micros: u64,
    pub began: Timestamp,
    /// Without the time that an approval was waited for.
    pub duration_us: u64,
    pub waited_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// What a wasm tool wrote to its own log, the last of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    pub trace_id: String,
}

impl Document for ToolCallRecord {
    const KIND: RecordKind = RecordKind("tool-call");
}

/// That a call is of a tool: `tool/call`.
#[derive(Debug, Serialize, Deserialize)]
struct OfTool {
    call: String,
}

impl Document for OfTool {
    const KIND: RecordKind = RecordKind("tool-call-of");
}

/// An answer, while its message may be handled again.
#[derive(Debug, Serialize, Deserialize)]
struct KeptAnswer {
    parts: Vec<Part>,
    structured: Option<Value>,
    is_error: bool,
    at: Timestamp,
}

impl Document for KeptAnswer {
    const KIND: RecordKind = RecordKind("tool-answer");
}

/// Which calls are asked for.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    /// A tool's name, or that of a function of it, or `agent:NAME`.
    pub tool: Option<String>,
    pub agent: Option<AgentName>,
    pub session: Option<String>,
}

impl CallFilter {
    fn takes(&self, record: &ToolCallRecord) -> bool {
        self.agent
            .as_ref()
            .is_none_or(|agent| record.agent.as_ref() == Some(agent))
            && self
                .session
                .as_ref()
                .is_none_or(|session| record.session.as_ref() == Some(session))
    }
}

pub(crate) struct Log {
    documents: Documents,
    waiting: Mutex<HashMap<TenantId, Vec<ToolCallRecord>>>,
    meters: ToolMeters,
    /// Whoever writes; whoever reads waits for what is on its way.
    writing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

fn place(record: &ToolCallRecord) -> String {
    format!("{}/{}", record.tool, record.id)
}

fn ops(record: &ToolCallRecord) -> Result<[Op; 2], Error> {
    let of = OfTool {
        call: record.id.clone(),
    };
    Ok([
        documents::put(&record.id, record)?,
        documents::put(&place(record), &of)?,
    ])
}

impl Log {
    pub(super) fn new(documents: Documents, meters: ToolMeters) -> Self {
        Self {
            documents,
            waiting: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            meters,
        }
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "log of tool calls")
    }

    /// Writes an entry at once; with its answer, if that may be asked for again.
    pub(super) async fn write(
        &self,
        tenant: &TenantId,
        record: &ToolCallRecord,
        answer: Option<&ToolAnswer>,
    ) -> Result<(), Error> {
        let mut ops = Vec::from(ops(record)?);
        if let Some(answer) = answer {
            let kept = KeptAnswer {
                parts: answer.parts.clone(),
                structured: answer.structured.clone(),
                is_error: answer.is_error,
                at: record.began,
            };
            ops.push(documents::put(&record.id, &kept)?);
        }
        self.documents.commit(&Self::scope(tenant), ops).await
    }

    /// Enters a call, to be written soon. Never waits: a log that is full for long loses entries, and
    /// counts how many.
    pub(super) fn enter(&self, tenant: &TenantId, record: ToolCallRecord) {
        let mut waiting = self.waiting.lock();
        let all: usize = waiting.values().map(Vec::len).sum();
        if all < WAITING_MAX {
            waiting.entry(tenant.clone()).or_default().push(record);
            return;
        }
        drop(waiting);
        let error = Error::new(Code::StorageBusy, "too many entries wait to be written");
        self.failed(tenant, &error);
    }

    fn failed(&self, tenant: &TenantId, error: &Error) {
        self.meters.log_failures.inc();
        tracing::warn!(%tenant, %error, "a tool call could not be written down");
    }

    /// Writes what waits. What another flush has begun to write is written when this one returns.
    pub(crate) async fn flush(&self) {
        let _writing = self.writing.lock().await;
        let waiting = std::mem::take(&mut *self.waiting.lock());
        for (tenant, records) in waiting {
            for batch in records.chunks(BATCH_ROWS) {
                let ops: Result<Vec<[Op; 2]>, Error> = batch.iter().map(ops).collect();
                let wrote = match ops {
                    Ok(ops) => {
                        let ops = ops.into_iter().flatten().collect();
                        self.documents.commit(&Self::scope(&tenant), ops).await
                    }
                    Err(error) => Err(error),
                };
                if let Err(error) = wrote {
                    self.failed(&tenant, &error);
                }
            }
        }
    }

    pub(crate) async fn find(
        &self,
        scope: &TenantScope,
        id: &str,
    ) -> Result<Option<ToolCallRecord>, Error> {
        self.flush().await;
        self.documents.get(scope, id).await
    }

    /// The entry of a call of an earlier run, and its answer if it has one.
    pub(super) async fn earlier(
        &self,
        tenant: &TenantId,
        id: CallId,
    ) -> Result<Option<(ToolCallRecord, Option<ToolAnswer>)>, Error> {
        let (scope, id) = (Self::scope(tenant), id.to_string());
        let Some(record) = self.documents.get::<ToolCallRecord>(&scope, &id).await? else {
            return Ok(None);
        };
        let kept: Option<KeptAnswer> = self.documents.get(&scope, &id).await?;
        let answer = kept.map(|kept| ToolAnswer {
            parts: kept.parts,
            structured: kept.structured,
            is_error: kept.is_error,
            ..ToolAnswer::default()
        });
        Ok(Some((record, answer)))
    }

    /// What lets an answer go, when its message will not be handled again.
    pub(crate) fn without_answer(id: CallId) -> Op {
        documents::remove::<KeptAnswer>(&id.to_string())
    }

    /// Calls, the newest first; of one tool or function where it is named.
    pub(crate) async fn list(
        &self,
        scope: &TenantScope,
        filter: &CallFilter,
        asked: &PageRequest,
    ) -> Result<Page<ToolCallRecord>, Error> {
        self.flush().await;
        let mut asked = asked.clone();
        for _ in 0..SCAN_PAGES_MAX {
            let mut page = match &filter.tool {
                None => self.documents.list_newest(scope, "", &asked).await?,
                Some(tool) => self.of_tool(scope, tool, &asked).await?,
            };
            page.rows.retain(|record| filter.takes(record));
            if !page.rows.is_empty() || page.next.is_none() {
                return Ok(page);
            }
            asked.token = page.next;
        }
        Ok(Page {
            rows: Vec::new(),
            next: asked.token,
        })
    }

    async fn of_tool(
        &self,
        scope: &TenantScope,
        tool: &str,
        asked: &PageRequest,
    ) -> Result<Page<ToolCallRecord>, Error> {
        // A function's name ends there; a tool's is the beginning of its functions'.
        let is_whole = tool.contains(['.', ':']);
        let prefix = if is_whole {
            format!("{tool}/")
        } else {
            tool.to_owned()
        };
        let page = self.documents.list_newest::<OfTool>(scope, &prefix, asked);
        let page = page.await?;
        let mut rows = Vec::with_capacity(page.rows.len());
        for of in &page.rows {
            let found: Option<ToolCallRecord> = self.documents.get(scope, &of.call).await?;
            let is_of = |record: &ToolCallRecord| {
                is_whole || record.tool.tool().is_some_and(|name| name.as_str() == tool)
            };
            rows.extend(found.filter(is_of));
        }
        Ok(Page {
            rows,
            next: page.next,
        })
    }

    /// Forgets entries that began before a time, some at a time; `true`: there may be more.
    pub(crate) async fn forget_before(
        &self,
        scope: &TenantScope,
        before: Timestamp,
    ) -> Result<bool, Error> {
        let first = PageRequest::first(FORGET_ROWS);
        let page = self.documents.list::<ToolCallRecord>(scope, "", &first);
        let page = page.await?;
        let old = page.rows.iter().filter(|record| record.began < before);
        let ops: Vec<Op> = old
            .flat_map(|record| {
                [
                    documents::remove::<OfTool>(&place(record)),
                    documents::remove::<KeptAnswer>(&record.id),
                    documents::remove::<ToolCallRecord>(&record.id),
                ]
            })
            .collect();
        if ops.is_empty() {
            return Ok(false);
        }
        self.documents.commit(scope, ops).await?;
        Ok(true)
    }

    pub(super) fn forget(&self, tenant: &TenantId) {
        self.waiting.lock().remove(tenant);
    }
}
