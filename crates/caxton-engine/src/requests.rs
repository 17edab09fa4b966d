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
use serde::{Deserialize, Serialize};
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
/// Bytes a block is made room for at first: a few lines.
const BLOCK_BYTES_FIRST: usize = 2048;
/// Blocks that are looked at for one page; past it the page ends, and its token goes on from there.
const SCAN_BLOCKS_MAX: usize = 200;
/// Blocks read of the store at one time.
const CHUNK_ROWS: u32 = 20;
/// How often old blocks of a tenant are let go.
const TRIM_EVERY: Duration = Duration::from_secs(3600);

/// A request, as it is added.
#[derive(Debug)]
pub struct RequestNote<'a> {
    pub time: Timestamp,
    pub id: &'a str,
    pub trace_id: &'a str,
    pub actor: &'a Principal,
    pub operation: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub duration_us: u64,
}

impl RequestNote<'_> {
    /// Adds the JSON of a [`RequestEntry`], as an array of its fields: a third less to write than with
    /// their names. Every request writes one, and through a serializer it takes three times as long.
    fn write(&self, line: &mut Line<'_>) {
        line.number("[", self.time.as_us());
        line.text(",\"", self.id);
        line.text("\",\"", self.trace_id);
        line.text("\",\"", "");
        // Writing into memory does not fail.
        let _ = fmt::Write::write_fmt(line, format_args!("{}", self.actor));
        line.text("\",\"", self.operation);
        line.text("\",\"", self.path);
        line.number("\",", self.status);
        line.number(",", self.duration_us);
        line.0.push(b']');
    }
}

/// JSON that is being written.
struct Line<'a>(&'a mut Vec<u8>);

impl Line<'_> {
    fn number(&mut self, before: &str, value: impl itoa::Integer) {
        self.0.extend_from_slice(before.as_bytes());
        let mut digits = itoa::Buffer::new();
        self.0.extend_from_slice(digits.format(value).as_bytes());
    }

    /// What stands before, then the inside of a string.
    fn text(&mut self, before: &str, text: &str) {
        self.0.extend_from_slice(before.as_bytes());
        // Without a way out of the loop, so that many bytes are looked at in one step.
        let plain = |it: &u8| *it >= b' ' && *it != b'"' && *it != b'\\';
        if text.as_bytes().iter().fold(true, |all, it| all & plain(it)) {
            self.0.extend_from_slice(text.as_bytes());
            return;
        }
        let quoted = serde_json::Value::from(text).to_string();
        let inside = quoted.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        self.0
            .extend_from_slice(inside.unwrap_or_default().as_bytes());
    }
}

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text("", text);
        Ok(())
    }
}

/// A request, as kept: as an array of these, in this order. Blocks of before have them by name, and both
/// are read.
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

    fn add(&mut self, note: &RequestNote<'_>) {
        self.text.push(if self.entries == 0 { b'[' } else { b',' });
        note.write(&mut Line(&mut self.text));
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

/// What was written of a tenant.
#[derive(Clone, Copy, Debug)]
struct Written {
    /// When its old blocks were last let go.
    trimmed: Timestamp,
    /// The newest block.
    newest: u64,
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
    /// What is remembered of each tenant that asks for something.
    written: Mutex<HashMap<TenantId, Written>>,
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
            written: Mutex::default(),
        }
    }

    fn scope(tenant: &TenantId) -> TenantScope {
        TenantScope::system(tenant.clone(), "request log")
    }

    /// Takes an entry, to be written soon.
    pub(crate) fn add(&self, tenant: &TenantId, note: &RequestNote<'_>) {
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
            Some(block) if block.entries < BLOCK_ENTRIES_MAX => block.add(note),
            _ => {
                let mut block = Block::new(note.time);
                block.add(note);
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
        // Bounded: whoever has not asked for an hour is forgotten.
        let now = self.clock.now();
        let at = |it: &Written| Timestamp::from_us(i64::try_from(it.newest).unwrap_or(i64::MAX));
        let mut written = self.written.lock();
        written.retain(|_, it| now.since(at(it)) < TRIM_EVERY);
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
        let now = self.clock.now();
        let before = self.written.lock().get(tenant).copied();
        // The store has to be asked only for who has not been seen for a while.
        let newest = match before {
            Some(before) => Some(before.newest),
            None => {
                let scope = Self::scope(tenant);
                let last = self.store.log(&scope, &LOG, LogRange::NEWEST, 1).await?;
                last.first().map(|(index, _)| *index)
            }
        };
        // The next free microsecond: two blocks may begin in the same one.
        let after = newest.map_or(0, |it| it + 1);
        let index = u64::try_from(block.first.as_us()).unwrap_or(0).max(after);
        let mut ops = vec![Op::LogPut {
            log: LOG,
            index,
            body: block.finish().into(),
        }];
        let trimmed = before.map(|it| it.trimmed);
        let trimmed = trimmed.filter(|at| now.since(*at) < TRIM_EVERY);
        if trimmed.is_none() {
            let history = i64::try_from(self.history.as_micros()).unwrap_or(i64::MAX);
            let before = u64::try_from(now.as_us().saturating_sub(history)).unwrap_or(0);
            ops.push(Op::LogTrim { log: LOG, before });
        }
        // Noted before it is known to be there: an index that stays free does no harm.
        let written = Written {
            trimmed: trimmed.unwrap_or(now),
            newest: index,
        };
        self.written.lock().insert(tenant.clone(), written);
        self.documents.commit(&Self::scope(tenant), ops).await
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use caxton_core::grant::{Member, Permissions, Subject};
    use proptest::prelude::*;

    #[test]
    fn blocks_with_names_are_read_too() {
        let block = r#"[{"time":5,"id":"a","trace_id":"b","actor":"admin","operation":"c","path":"/d",
            "status":200,"duration_us":7}]"#;
        let read: Vec<RequestEntry> = serde_json::from_str(block).unwrap();
        let array = r#"[[5,"a","b","admin","c","/d",200,7]]"#;
        assert_eq!(
            read,
            serde_json::from_str::<Vec<RequestEntry>>(array).unwrap()
        );
        assert_eq!((read[0].status, read[0].actor.as_str()), (200, "admin"));
    }

    proptest! {
        #[test]
        fn what_is_noted_is_read_again(
            texts in prop::array::uniform4(any::<String>()),
            name in any::<String>(),
            us in any::<i64>(),
            status in any::<u16>(),
            duration_us in any::<u64>(),
        ) {
            let [id, trace_id, operation, path] = texts;
            let actor = Principal::Member(Arc::new(Member {
                subject: Subject::Certificate(name),
                tenant: TenantId::platform(),
                permissions: Permissions::all(),
            }));
            let note = RequestNote {
                time: Timestamp::from_us(us),
                id: &id,
                trace_id: &trace_id,
                actor: &actor,
                operation: &operation,
                path: &path,
                status,
                duration_us,
            };
            let mut block = Block::new(note.time);
            block.add(&note);
            block.add(&note);
            let read: Vec<RequestEntry> = serde_json::from_slice(&block.finish()).unwrap();
            let expected = RequestEntry {
                time: note.time,
                actor: actor.to_string(),
                operation: Cow::Owned(operation.clone()),
                id, trace_id, path, status, duration_us,
            };
            prop_assert_eq!(read, vec![expected.clone(), expected]);
        }
    }
}
