//! The lists of segments, kept in memory once they were read. A list is a quarter of a megabyte behind a
//! chain of pages, and a look-up wants a few words of it. Lists never change; one that was deleted is
//! not asked for any more, and its key is never used again.

use super::{Ask, blob};
use crate::codec::Malformed;
use crate::error::Error;
use crate::file::Map;
use crate::file::tail::{Term, search};
use crate::sql;
use parking_lot::Mutex;
use rusqlite::params;
use std::sync::Arc;

/// Bytes of lists kept for one file; past it, it begins anew.
const LISTS_BYTES_MAX: usize = 32 << 20;
/// What an entry costs besides its list.
const ENTRY_BYTES: usize = 64;

/// Which list of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Traces,
    Conversations,
    Agents,
}

impl Kind {
    fn of(term: Term) -> Self {
        match term {
            Term::Trace(_) | Term::Any => Self::Traces,
            Term::Conversation(_) => Self::Conversations,
            Term::Agent(_) => Self::Agents,
        }
    }

    fn statement(self) -> &'static str {
        match self {
            Self::Traces => sql::SEGMENT_TRACES,
            Self::Conversations => sql::SEGMENT_CONVERSATIONS,
            Self::Agents => sql::SEGMENT_AGENTS,
        }
    }
}

/// A list by its tenant's number and its segment's first sequence.
type Key = (i64, i64, Kind);

#[derive(Debug, Default)]
struct Lists {
    kept: Map<Key, Arc<[u8]>>,
    bytes: usize,
}

/// What is kept of one file.
#[derive(Debug, Default)]
pub(crate) struct Segments(Mutex<Lists>);

impl Segments {
    /// Sequences in the segment that may match, in order.
    pub(super) fn find(
        &self,
        ask: &Ask<'_>,
        seq_first: i64,
        term: Term,
    ) -> Result<Vec<i64>, Error> {
        let kind = Kind::of(term);
        let key = (ask.tenant, seq_first, kind);
        let kept = self.0.lock().kept.get(&key).cloned();
        let list = match kept {
            Some(list) => list,
            None => self.read(ask, key)?,
        };
        Ok(search(&list, seq_first, term))
    }

    fn read(&self, ask: &Ask<'_>, key: Key) -> Result<Arc<[u8]>, Error> {
        let (tenant, seq_first, kind) = key;
        let mut get = ask.conn.prepare_cached(kind.statement())?;
        let mut rows = get.query(params![tenant, seq_first])?;
        let row = rows.next()?.ok_or(Malformed("a segment"))?;
        let list: Arc<[u8]> = blob(row, 0)?.into();
        let mut lists = self.0.lock();
        let bytes = list.len() + ENTRY_BYTES;
        if lists.bytes + bytes > LISTS_BYTES_MAX {
            *lists = Lists::default();
        }
        if lists.kept.insert(key, list.clone()).is_none() {
            lists.bytes += bytes;
        }
        Ok(list)
    }
}
