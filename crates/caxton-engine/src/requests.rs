//! The log of requests. A request costs a line added to a block of its tenant's; once a second blocks are
//! written, and whoever searches reads them, after what waits of that tenant was written.
//!
//! It is for finding out what happened, not for counting: where the queue is full, entries are dropped,
//! and counted as dropped. What must not be lost stands in the audit.

use crate::documents::Documents;
use crate::opctx::TenantScope;
use crate::port::page::{self, List, Position};
use crate::port::store::{LogName, LogRange, Op, Page, PageRequest};
use crate::port::{Clock, Store};
use caxton_core::error::{Code, Error};
use caxton_core::grant::Principal;
use caxton_core::{TenantId, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The log that blocks are kept in, under about the time of their first entry in microseconds.
const LOG: LogName = LogName::of("requests");
/// Entries that wait to be written, all tenants together.
const WAITING_MAX: usize = 65_536;
/// Entries of one block.
const BLOCK_ENTRIES_MAX: usize = 1000;
/// Bytes a line is made room for: one with an id, a trace and a path of common length.
const LINE_BYTES: usize = 384;
/// Bytes a block is made room for at first: a few lines.
const BLOCK_BYTES_FIRST: usize = 2048;
/// Blocks that are looked at for one page; past it the page ends, and its token goes on from there.
const SCAN_BLOCKS_MAX: usize = 200;
/// Blocks read of the store at one time.
const CHUNK_ROWS: u32 = 20;
/// How often old blocks of a tenant are let go.
const TRIM_EVERY: Duration = Duration::from_secs(3600);

/// A request, as it is added.
#[derive(Debug, Serialize)]
pub struct RequestNote<'a> {
    pub time: Timestamp,
    pub id: &'a str,
    pub trace_id: &'a str,
    #[serde(serialize_with = "as_text")]
    pub actor: &'a Principal,
    pub operation: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub duration_us: u64,
}

fn as_text<S: Serializer>(it: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(it)
}

/// A request, as kept: what [`RequestNote`] writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestEntry {
    pub time: Timestamp,
    pub id: String,
    pub trace_id: String,
    pub actor: String,
    pub operation: Cow<'static, str>,
    pub path: String,
    pub status: u16,
    pub duration_us: u64,
}

/// Which requests. All given conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    pub id: String,
    pub trace_id: String,
    pub actor: String,
    /// What the operation's name ends with.
    pub operation: String,
    /// A status, or from 1 to 5 a hundred of them; 0 is any.
    pub status: u32,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl RequestFilter {
    fn matches(&self, it: &RequestEntry) -> bool {
        let is = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        let status = u32::from(it.status);
        is(&self.id, &it.id)
            && is(&self.trace_id, &it.trace_id)
            && is(&self.actor, &it.actor)
            && it.operation.ends_with(&self.operation)
            && (self.status == 0 || self.status == status || self.status == status / 100)
            && self.from.is_none_or(|at| it.time >= at)
            && self.until.is_none_or(|at| it.time < at)
    }
}

/// Entries to be written together, as the text of a JSON array but for its end: text takes a tenth of
/// the memory and allocations that entries do, of which a busy second has tens of thousands.
#[derive(Debug)]
struct Block {
    text: Vec<u8>,
    entries: usize,
    first: Timestamp,
}

impl Block {
    fn new(first: Timestamp) -> Self {
        Self {
            text: Vec::with_capacity(BLOCK_BYTES_FIRST),
            entries: 0,
            first,
        }
    }

    fn add(&mut self, line: &[u8]) {
        self.text.push(if self.entries == 0 { b'[' } else { b',' });
        self.text.extend_from_slice(line);
        self.entries += 1;
    }

    fn finish(mut self) -> Vec<u8> {
        self.text.push(b']');
        self.text
    }
}

#[derive(Debug, Default)]
struct Waiting {
    blocks: HashMap<TenantId, Vec<Block>>,
    count: usize,
    dropped: u64,
}

/// The log of requests. One a server.
pub(crate) struct Requests {
    store: Arc<dyn Store>,
    documents: Documents,
    clock: Arc<dyn Clock>,
    history: Duration,
    waiting: Mutex<Waiting>,
    /// Held while a tenant's entries are on their way from what waits to the store, where for a while
    /// neither has them.
    writing: tokio::sync::Mutex<()>,
    /// When each tenant's old blocks were last let go; only of tenants that ask for something.
    trimmed: Mutex<HashMap<TenantId, Timestamp>>,
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Requests")
    }
}

impl Requests {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        documents: Documents,
        clock: Arc<dyn Clock>,
        history: Duration,
    ) -> Self {
        Self {
            store,
            documents,
            clock,
            history,
            waiting: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            trimmed: Mutex::default(),
        }
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "request log")
    }

    /// Takes an entry, to be written soon.
    pub(crate) fn add(&self, tenant: &TenantId, note: &RequestNote<'_>) {
        let mut line = Vec::with_capacity(LINE_BYTES);
        if serde_json::to_writer(&mut line, note).is_err() {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.count >= WAITING_MAX {
            waiting.dropped += 1;
            return;
        }
        waiting.count += 1;
        let blocks = match waiting.blocks.get_mut(tenant) {
            Some(blocks) => blocks,
            None => waiting.blocks.entry(tenant.clone()).or_default(),
        };
        match blocks.last_mut() {
            Some(block) if block.entries < BLOCK_ENTRIES_MAX => block.add(&line),
            _ => {
                let mut block = Block::new(note.time);
                block.add(&line);
                blocks.push(block);
            }
        }
    }

    /// Writes what waits. What cannot be written is dropped: the next second brings more of it.
    pub(crate) async fn flush(&self) {
        let (tenants, dropped) = {
            let mut waiting = self.waiting.lock();
            let tenants: Vec<TenantId> = waiting.blocks.keys().cloned().collect();
            (tenants, std::mem::take(&mut waiting.dropped))
        };
        if dropped > 0 {
            tracing::warn!(
                entries = dropped,
                "requests were not logged: too many at once"
            );
        }
        for tenant in tenants {
            self.flush_tenant(&tenant).await;
        }
    }

    /// Writes what waits of one tenant. Tenants take turns, so that who lists waits for one of them at most.
    async fn flush_tenant(&self, tenant: &TenantId) {
        let _writing = self.writing.lock().await;
        let blocks = {
            let mut waiting = self.waiting.lock();
            let blocks = waiting.blocks.remove(tenant).unwrap_or_default();
            waiting.count -= blocks.iter().map(|it| it.entries).sum::<usize>();
            blocks
        };
        for block in blocks {
            let entries = block.entries;
            if let Err(error) = self.write(tenant, block).await {
                tracing::warn!(%tenant, entries, %error, "requests were not logged");
            }
        }
    }

    async fn write(&self, tenant: &TenantId, block: Block) -> Result<(), Error> {
        // The next free microsecond: two blocks may begin in the same one.
        let newest = LogRange::NEWEST;
        let last = self
            .store
            .log(&Self::scope(tenant), &LOG, newest, 1)
            .await?;
        let after = last.first().map_or(0, |(index, _)| index + 1);
        let index = u64::try_from(block.first.as_us()).unwrap_or(0).max(after);
        let mut ops = vec![Op::LogPut {
            log: LOG,
            index,
            body: block.finish().into(),
        }];
        ops.extend(self.trim(tenant));
        self.documents.commit(&Self::scope(tenant), ops).await
    }

    /// Lets old blocks go, now and then.
    fn trim(&self, tenant: &TenantId) -> Option<Op> {
        let now = self.clock.now();
        let mut trimmed = self.trimmed.lock();
        // Bounded: whoever has not asked for an hour is forgotten.
        trimmed.retain(|_, at| now.since(*at) < TRIM_EVERY);
        if trimmed.contains_key(tenant) {
            return None;
        }
        trimmed.insert(tenant.clone(), now);
        let history = i64::try_from(self.history.as_micros()).unwrap_or(i64::MAX);
        let before = u64::try_from(now.as_us().saturating_sub(history)).unwrap_or(0);
        Some(Op::LogTrim { log: LOG, before })
    }

    /// Newest first. The first page has all that was added before it was asked for.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        filter: &RequestFilter,
        asked: &PageRequest,
    ) -> Result<Page<RequestEntry>, Error> {
        let (scope, key) = (Self::scope(tenant), format!("{filter:?}"));
        let list = List::Log(&LOG, &key);
        let after = page::position(list, &scope, asked.token.as_deref())?;
        if after.is_none() {
            self.flush_tenant(tenant).await;
        }
        // A position is a block and how many of its entries, from its end, were given or looked at.
        let (mut before, mut skip) = match &after {
            None => (u64::MAX, 0),
            Some(at) => (
                u64::try_from(at.at).unwrap_or(0).saturating_add(1),
                at.id.parse().unwrap_or(0),
            ),
        };
        let (mut rows, mut blocks) = (Vec::new(), 0);
        let position = |block: u64, skip: usize| {
            let at = i64::try_from(block).unwrap_or(i64::MAX);
            let id = skip.to_string();
            page::token(list, &scope, &Position { at, id })
        };
        loop {
            let range = LogRange {
                from: 0,
                before,
                newest_first: true,
            };
            let found = self.store.log(&scope, &LOG, range, CHUNK_ROWS).await?;
            if found.is_empty() {
                return Ok(Page { rows, next: None });
            }
            for (index, body) in found {
                let mut entries: Vec<RequestEntry> =
                    serde_json::from_slice(&body).map_err(|error| {
                        let detail = format!("block {index} of the requests of {tenant}: {error}");
                        Error::new(Code::StorageDamaged, detail)
                    })?;
                // They were added as they ended, and are told as they began.
                entries.sort_by_key(|it| it.time);
                for (seen, entry) in entries.iter().rev().enumerate().skip(skip) {
                    if filter.matches(entry) {
                        rows.push(entry.clone());
                    }
                    if rows.len() >= asked.rows_max as usize {
                        let next = Some(position(index, seen + 1));
                        return Ok(Page { rows, next });
                    }
                }
                (before, skip) = (index, 0);
                blocks += 1;
                let newest = entries.last().map(|it| it.time);
                let past = filter
                    .from
                    .is_some_and(|at| newest.is_some_and(|it| it < at));
                if past {
                    return Ok(Page { rows, next: None });
                }
                if blocks >= SCAN_BLOCKS_MAX {
                    let next = Some(position(index, entries.len()));
                    return Ok(Page { rows, next });
                }
            }
        }
    }
}
