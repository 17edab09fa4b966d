//! The ledger of model calls: what was asked, what it took and cost, how it ended. An entry is
//! written when a call begins and again when it ends, by a task of its own, so that no way of ending
//! (a client or worker that goes away, a stop) leaves one out. What a kill leaves open is settled
//! when the tenant's models are next used, with an estimate that says so.
//!
//! Of a call whose turn is not kept the first writing may wait for [`OPEN_AFTER`], sooner than any
//! model's first word: the store would take processors from the question on its way, and a call that is
//! over by then is written once. One task waits for all of them, because a task and a timer for each
//! would wake another processor while the question is on its way.

use super::{Meters, Models};
use crate::documents::{self, Document, Documents};
use crate::limits::Reservation;
use crate::opctx::TenantScope;
use crate::port::Clock;
use crate::port::store::{Op, Page, PageRequest, RecordKind};
use crate::task::Tasks;
use crate::turn::Chunk;
use caxton_core::error::Error;
use caxton_core::model::{ModelName, ModelReply, Price, Tokens, tokens_of};
use caxton_core::session::{SessionId, TurnEvent, TurnId};
use caxton_core::{AgentName, TenantId, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Tries of writing an entry before it is given up on and only counted.
const WRITE_TRIES_MAX: u32 = 8;
/// The first pause between two of them; doubles.
const WRITE_PAUSE: Duration = Duration::from_millis(100);
/// When a call that nobody waits for is written to have begun.
const OPEN_AFTER: Duration = Duration::from_millis(10);
/// Open entries settled at a time when a tenant's models are used first.
const RECOVER_ROWS: u32 = 100;

/// Which call: of a turn, the n-th.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallId {
    pub(crate) turn: TurnId,
    pub(crate) index: u32,
    /// How often it was asked anew after a restart.
    pub(crate) again: u32,
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.turn, self.index)?;
        match self.again {
            0 => Ok(()),
            again => write!(f, ".{again}"),
        }
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// It has not.
    Open,
    Completed,
    /// By the fault of this kind.
    Failed(String),
    /// Somebody cancelled the turn.
    Cancelled,
    /// The server stopped, or whoever asked went away.
    Interrupted,
}

impl CallOutcome {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Open => "open",
            Self::Completed => "completed",
            Self::Failed(kind) => kind,
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A model call, as kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCallRecord {
    pub id: String,
    pub turn: TurnId,
    pub session: Option<SessionId>,
    pub agent: Option<AgentName>,
    /// Whose quota it counts in besides the tenant's.
    pub key: Option<String>,
    /// What was asked for first.
    pub asked: ModelName,
    /// Who answered, or was asked last.
    pub model: ModelName,
    /// Tries of providers.
    pub tries: u32,
    pub outcome: CallOutcome,
    /// The ceiling that was reserved, in and out.
    pub reserved_tokens: u64,
    pub tokens: Tokens,
    pub cost_micros: u64,
    pub began: Timestamp,
    /// From the beginning to the first word.
    pub first_word_ms: Option<u64>,
    pub duration_ms: u64,
    pub trace_id: String,
    /// Something of the answer was seen.
    pub visible: bool,
    /// The answer, while its turn may be handled again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Box<ModelReply>>,
}

impl Document for ModelCallRecord {
    const KIND: RecordKind = RecordKind("model-call");
}

/// That a call is open: found after a restart.
#[derive(Debug, Serialize, Deserialize)]
struct OpenMark {
    id: String,
}

impl Document for OpenMark {
    const KIND: RecordKind = RecordKind("model-call-open");
}

/// What was reserved for a call.
pub(super) struct Reserved {
    pub(super) tokens: Reservation,
    pub(super) cost: Reservation,
}

/// A call in the ledger, until it is settled. Dropped before, it is settled as interrupted with what
/// is known then.
pub(super) struct OpenCall {
    pub(super) record: ModelCallRecord,
    /// An estimate of the tokens of this answer so far, and what they cost: all there is to go by
    /// where whoever asks is dropped.
    pub(super) heard: u64,
    pub(super) price: Price,
    reserved: Option<Reserved>,
    end: Option<oneshot::Sender<ModelCallRecord>>,
    opened: Option<oneshot::Receiver<Result<(), Error>>>,
    settled: oneshot::Receiver<()>,
    late: Late,
    desk: Arc<Desk>,
}

impl OpenCall {
    /// Waits until the entry is written. What is seen of an answer before could be seen twice.
    pub(super) async fn opened(&mut self) -> Result<(), Error> {
        match self.opened.take() {
            Some(opened) => opened.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }

    /// Ends the call; with `wait`, returns when that is written.
    pub(super) async fn settle(mut self, outcome: CallOutcome, wait: bool) -> ModelCallRecord {
        self.record.outcome = outcome;
        self.end();
        if wait {
            let _ = (&mut self.settled).await;
        }
        self.record.clone()
    }

    fn end(&mut self) {
        let Some(end) = self.end.take() else { return };
        if let Some(reserved) = self.reserved.take() {
            reserved.tokens.settle(self.record.tokens.total());
            reserved.cost.settle(self.record.cost_micros);
        }
        let meters = &self.desk.meters;
        meters.settled(&self.record.tokens, self.record.cost_micros);
        meters.calls_now.dec();
        let _ = end.send(self.record.clone());
        self.desk.begin(&self.late, false);
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if self.end.is_some() {
            let record = &mut self.record;
            record.outcome = CallOutcome::Interrupted;
            record.tokens.output = record.tokens.output.saturating_add(self.heard);
            record.tokens.estimated = true;
            record.cost_micros = self.price.cost_micros(&record.tokens);
            self.end();
        }
    }
}

pub(crate) struct Ledger {
    desk: Arc<Desk>,
    /// Tenants whose open entries of an earlier run are settled.
    recovered: Mutex<HashSet<TenantId>>,
    recovering: tokio::sync::Mutex<()>,
}

/// Where entries are written.
struct Desk {
    documents: Documents,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    meters: Meters,
    /// Entries that may wait, and when they are due, the first first. While there are any a task waits
    /// for them. Bounded by the calls that can begin within [`OPEN_AFTER`].
    waiting: Mutex<VecDeque<(Timestamp, Late)>>,
}

/// An entry that nobody is writing yet.
type Late = Arc<Mutex<Option<Entry>>>;

/// What is to be written of a call, and who is told.
struct Entry {
    scope: TenantScope,
    first: ModelCallRecord,
    ended: oneshot::Receiver<ModelCallRecord>,
    say_opened: oneshot::Sender<Result<(), Error>>,
    say_settled: oneshot::Sender<()>,
}

impl Desk {
    /// Begins to write an entry, where nobody has.
    fn begin(self: &Arc<Self>, late: &Late, open: bool) {
        let Some(entry) = late.lock().take() else {
            return;
        };
        // Without a runtime the process is about to end, and nothing can be written.
        if tokio::runtime::Handle::try_current().is_ok() {
            let desk = Arc::clone(self);
            let work = async move { desk.write(entry, open).await };
            self.tasks.spawn("model ledger", work);
        }
    }

    /// Writes an entry, in order: open (or not, where its call is over), then settled.
    async fn write(&self, entry: Entry, open: bool) {
        let scope = &entry.scope;
        if open {
            let wrote = match opening(&entry.first) {
                Ok(ops) => self.documents.commit(scope, ops).await,
                Err(error) => Err(error),
            };
            let _ = entry.say_opened.send(wrote);
        }
        let Ok(record) = entry.ended.await else {
            return;
        };
        self.settled(scope, &record).await;
        let _ = entry.say_settled.send(());
    }

    async fn settled(&self, scope: &TenantScope, record: &ModelCallRecord) {
        let mut pause = WRITE_PAUSE;
        for _ in 0..WRITE_TRIES_MAX {
            let wrote = match documents::put(&record.id, record) {
                Ok(put) => {
                    let ops = vec![put, documents::remove::<OpenMark>(&record.id)];
                    self.documents.commit(scope, ops).await
                }
                Err(error) => Err(error),
            };
            let Err(error) = wrote else { return };
            tracing::warn!(call = %record.id, %error, "an entry of the model ledger was not written; trying again");
            self.clock.sleep_until(self.clock.now().plus(pause)).await;
            pause = pause.saturating_mul(2);
        }
        self.meters.ledger_failures.inc();
        tracing::error!(call = %record.id, tokens = record.tokens.total(), cost_micros = record.cost_micros, "an entry of the model ledger is lost");
    }

    /// Lets an entry wait for its time, or for the end of its call.
    fn delay(self: &Arc<Self>, late: &Late) {
        let due = self.clock.now().plus(OPEN_AFTER);
        let mut waiting = self.waiting.lock();
        waiting.push_back((due, Arc::clone(late)));
        if waiting.len() == 1 {
            let desk = Arc::clone(self);
            let work = async move { desk.wait().await };
            self.tasks.spawn_until_stop("model ledger's wait", work);
        }
    }

    /// Begins what is due, until nothing waits.
    async fn wait(self: &Arc<Self>) {
        loop {
            let first = self.waiting.lock().front().map(|(due, _)| *due);
            let Some(due) = first else { return };
            self.clock.sleep_until(due).await;
            let now = self.clock.now();
            let mut waiting = self.waiting.lock();
            while let Some((_, late)) = waiting.pop_front_if(|(due, _)| *due <= now) {
                self.begin(&late, true);
            }
            // Whoever comes next finds that nobody waits.
            if waiting.is_empty() {
                return;
            }
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}

impl Ledger {
    pub(super) fn new(
        documents: Documents,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
        meters: Meters,
    ) -> Self {
        Self {
            desk: Arc::new(Desk {
                documents,
                clock,
                tasks,
                meters,
                waiting: Mutex::default(),
            }),
            recovered: Mutex::default(),
            recovering: tokio::sync::Mutex::new(()),
        }
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "model ledger")
    }

    /// Enters a call that begins; at once where its turn is kept, which waits for it.
    pub(super) fn open(
        &self,
        tenant: &TenantId,
        record: ModelCallRecord,
        reserved: Reserved,
        kept: bool,
    ) -> OpenCall {
        let (end, ended) = oneshot::channel::<ModelCallRecord>();
        let (say_opened, opened) = oneshot::channel();
        let (say_settled, settled) = oneshot::channel();
        let late = Arc::new(Mutex::new(Some(Entry {
            scope: Self::scope(tenant),
            first: record.clone(),
            ended,
            say_opened,
            say_settled,
        })));
        self.desk.meters.calls_now.inc();
        match kept {
            true => self.desk.begin(&late, true),
            false => self.desk.delay(&late),
        }
        OpenCall {
            record,
            heard: 0,
            price: Price::default(),
            reserved: Some(reserved),
            end: Some(end),
            opened: Some(opened),
            settled,
            late,
            desk: Arc::clone(&self.desk),
        }
    }

    pub(crate) async fn find(
        &self,
        tenant: &TenantId,
        id: &CallId,
    ) -> Result<Option<ModelCallRecord>, Error> {
        let id = id.to_string();
        self.desk.documents.get(&Self::scope(tenant), &id).await
    }

    /// Writes down that something of an open call's answer is about to be seen.
    pub(super) async fn seen(
        &self,
        tenant: &TenantId,
        record: &ModelCallRecord,
    ) -> Result<(), Error> {
        let put = documents::put(&record.id, record)?;
        self.desk
            .documents
            .commit(&Self::scope(tenant), vec![put])
            .await
    }

    /// The entries of a tenant, or of one of its turns, the newest first.
    pub(crate) async fn list(
        &self,
        scope: &TenantScope,
        turn: Option<TurnId>,
        asked: &PageRequest,
    ) -> Result<Page<ModelCallRecord>, Error> {
        let prefix = turn.map(|turn| format!("{turn}.")).unwrap_or_default();
        self.desk.documents.list_newest(scope, &prefix, asked).await
    }

    /// What takes the answers out of a turn's entries, when it will not be handled again.
    pub(crate) fn without_reply(record: &ModelCallRecord) -> Result<Op, Error> {
        let record = ModelCallRecord {
            reply: None,
            ..record.clone()
        };
        documents::put(&record.id, &record)
    }

    /// Forgets entries that began before a time, some at a time; `true`: there may be more.
    pub(crate) async fn forget_before(
        &self,
        scope: &TenantScope,
        before: Timestamp,
    ) -> Result<bool, Error> {
        let page = PageRequest::first(RECOVER_ROWS);
        let page = self
            .desk
            .documents
            .list::<ModelCallRecord>(scope, "", &page)
            .await?;
        let old = page.rows.iter().filter(|record| record.began < before);
        let ops: Vec<Op> = old
            .map(|record| documents::remove::<ModelCallRecord>(&record.id))
            .collect();
        if ops.is_empty() {
            return Ok(false);
        }
        self.desk.documents.commit(scope, ops).await?;
        Ok(true)
    }

    /// Settles what an earlier run of the server left open, at the price of each one's model. Gives what is
    /// to be counted.
    pub(super) async fn recover(
        &self,
        tenant: &TenantId,
        models: &Models,
    ) -> Result<Vec<ModelCallRecord>, Error> {
        if self.recovered.lock().contains(tenant) {
            return Ok(Vec::new());
        }
        let _one = self.recovering.lock().await;
        if self.recovered.lock().contains(tenant) {
            return Ok(Vec::new());
        }
        let scope = Self::scope(tenant);
        let mut left = Vec::new();
        loop {
            let page = PageRequest::first(RECOVER_ROWS);
            let page = self
                .desk
                .documents
                .list::<OpenMark>(&scope, "", &page)
                .await?;
            if page.rows.is_empty() {
                break;
            }
            let mut ops = Vec::new();
            for mark in page.rows {
                ops.push(documents::remove::<OpenMark>(&mark.id));
                let found: Option<ModelCallRecord> =
                    self.desk.documents.get(&scope, &mark.id).await?;
                if let Some(mut record) = found
                    && record.outcome == CallOutcome::Open
                {
                    record.outcome = CallOutcome::Interrupted;
                    record.tokens.estimated = true;
                    let heard = self.heard(&scope, &record).await?;
                    if heard > 0 {
                        let before = record.tokens;
                        record.tokens.output = before.output.saturating_add(heard);
                        let price = models.price(tenant, &record.model).await;
                        let more = price.cost_micros(&record.tokens) - price.cost_micros(&before);
                        record.cost_micros = record.cost_micros.saturating_add(more);
                    }
                    ops.push(documents::put(&record.id, &record)?);
                    left.push(record);
                }
            }
            self.desk.documents.commit(&scope, ops).await?;
        }
        self.recovered.lock().insert(tenant.clone());
        Ok(left)
    }

    /// An estimate of the tokens that a call has given, from what is kept of its turn: what was said and
    /// thought since the last tool answered.
    async fn heard(&self, scope: &TenantScope, record: &ModelCallRecord) -> Result<u64, Error> {
        if !record.visible {
            return Ok(0);
        }
        let mut bytes = 0;
        let mut page = PageRequest::first(RECOVER_ROWS);
        loop {
            let prefix = Chunk::prefix(record.turn);
            let found = self
                .desk
                .documents
                .list::<Chunk>(scope, &prefix, &page)
                .await?;
            for (_, event) in found.rows.iter().flat_map(|chunk| &chunk.events) {
                match event {
                    TurnEvent::Text { text } | TurnEvent::Thinking { text } => bytes += text.len(),
                    TurnEvent::ToolResult { .. } | TurnEvent::HandedOver { .. } => bytes = 0,
                    _ => {}
                }
            }
            page.token = found.next;
            if page.token.is_none() {
                return Ok(tokens_of(bytes));
            }
        }
    }

    pub(super) fn forget(&self, tenant: &TenantId) {
        self.recovered.lock().remove(tenant);
    }
}

fn opening(record: &ModelCallRecord) -> Result<Vec<Op>, Error> {
    let mark = OpenMark {
        id: record.id.clone(),
    };
    Ok(vec![
        documents::put(&record.id, record)?,
        documents::put(&record.id, &mark)?,
    ])
}
