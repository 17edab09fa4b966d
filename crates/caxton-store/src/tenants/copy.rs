//! Copies a tenant's rows from one file to another, piece by piece: each piece is a transaction of the
//! file they go to, small enough that nobody there waits long for it.
//!
//! Messages are written once and only ever forgotten, so those that are listed in segments are copied
//! while the tenant writes on. The rest is copied while its units wait.

use super::tables::{Cursor, STEP_BYTES_MAX, STEP_ROWS_MAX, TABLES};
use crate::codec::Malformed;
use crate::error::Error;
use crate::file::tail::{Segment, Term, search};
use crate::file::tenants::Still;
use crate::rows::blob;
use crate::sql;
use caxton_core::MailboxId;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::collections::VecDeque;

/// A copy under way. The same row under another number, and every sequence moved by `offset`.
#[derive(Debug)]
pub(super) struct Copy {
    source: Connection,
    from: i64,
    to: i64,
    pub(super) offset: i64,
    /// Segments up to this one are copied, their messages too but for those in `messages`.
    segment: i64,
    messages: VecDeque<i64>,
    /// The last sequence copied, as it is in the new place.
    pub(super) newest: i64,
    /// Of the last phase.
    rest: Option<Rest>,
}

#[derive(Debug)]
struct Rest {
    segment_newest: i64,
    tail: Option<Segment>,
    inbox: VecDeque<(MailboxId, i64, u32)>,
    table: usize,
    cursor: Option<Cursor>,
}

impl Copy {
    pub(super) fn new(source: Connection, from: i64, to: i64, offset: i64) -> Self {
        Self {
            source,
            from,
            to,
            offset,
            segment: 0,
            messages: VecDeque::new(),
            newest: 0,
            rest: None,
        }
    }

    /// Begins the last phase: the tenant's units wait, this is how it stands.
    pub(super) fn finish_with(&mut self, still: Still) {
        self.rest = Some(Rest {
            segment_newest: still.segment_newest,
            tail: still.tail,
            inbox: still.inbox.into(),
            table: 0,
            cursor: None,
        });
    }

    /// Copies one piece into the open transaction; says whether there is more in this phase.
    pub(super) fn step(&mut self, dest: &Connection) -> Result<bool, Error> {
        if !self.messages.is_empty() {
            self.copy_messages(dest)?;
            return Ok(true);
        }
        let until = self.rest.as_ref().map_or(i64::MAX, |r| r.segment_newest);
        if let Some(segment) = self.next_segment(until)? {
            self.segment = segment.seq_first;
            self.copy_segment(dest, &segment)?;
            return Ok(true);
        }
        let Some(rest) = &mut self.rest else {
            return Ok(false);
        };
        if let Some(tail) = rest.tail.take() {
            self.copy_segment(dest, &tail)?;
            return Ok(true);
        }
        if !rest.inbox.is_empty() {
            let (to, offset) = (self.to, self.offset);
            copy_inbox(dest, &mut rest.inbox, to, offset)?;
            return Ok(true);
        }
        let Some(table) = TABLES.get(rest.table) else {
            return Ok(false);
        };
        let (source, to) = ((&self.source, self.from), (dest, self.to));
        rest.cursor = table.copy(source, to, self.offset, rest.cursor.take())?;
        if rest.cursor.is_none() {
            rest.table += 1;
        }
        Ok(true)
    }

    fn next_segment(&self, until: i64) -> Result<Option<Segment>, Error> {
        let mut next = self.source.prepare_cached(sql::SEGMENT_NEXT)?;
        let row = params![self.from, self.segment, until];
        let found = next.query_row(row, |row| {
            Ok(Segment {
                tenant: self.from,
                seq_first: row.get(0)?,
                seq_last: row.get(1)?,
                traces: row.get(2)?,
                conversations: row.get(3)?,
                agents: row.get(4)?,
            })
        });
        Ok(found.optional()?)
    }

    /// The list of a run of messages, before the messages themselves: by it they would be found and
    /// deleted if the rest never came.
    fn copy_segment(&mut self, dest: &Connection, segment: &Segment) -> Result<(), Error> {
        let mut put = dest.prepare_cached(sql::SEGMENT_PUT)?;
        put.execute(params![
            self.to,
            segment.seq_first.saturating_add(self.offset),
            segment.seq_last.saturating_add(self.offset),
            segment.traces,
            segment.conversations,
            segment.agents,
        ])?;
        self.messages = search(&segment.traces, segment.seq_first, Term::Any).into();
        Ok(())
    }

    fn copy_messages(&mut self, dest: &Connection) -> Result<(), Error> {
        let mut get = self.source.prepare_cached(sql::MESSAGE_COPY)?;
        let mut put = dest.prepare_cached(sql::MESSAGE_INSERT)?;
        let mut bytes = 0;
        for _ in 0..STEP_ROWS_MAX {
            if bytes >= STEP_BYTES_MAX {
                break;
            }
            let Some(seq) = self.messages.pop_front() else {
                break;
            };
            let mut rows = get.query(params![self.from, seq])?;
            // Forgotten already.
            let Some(row) = rows.next()? else {
                continue;
            };
            let (id, body) = (blob(row, 0)?, blob(row, 1)?);
            let seq = seq.saturating_add(self.offset);
            if put.execute(params![self.to, id, seq, body])? == 0 {
                return Err(Error::Row(Malformed("two messages of one id")));
            }
            bytes += body.len();
            self.newest = self.newest.max(seq);
        }
        Ok(())
    }
}

fn copy_inbox(
    dest: &Connection,
    inbox: &mut VecDeque<(MailboxId, i64, u32)>,
    to: i64,
    offset: i64,
) -> Result<(), Error> {
    let mut put = dest.prepare_cached(sql::INBOX_PUT)?;
    let count = inbox.len().min(STEP_ROWS_MAX);
    for (mailbox, seq, attempts) in inbox.drain(..count) {
        let (agent, lane) = (mailbox.agent.name.as_str(), mailbox.key.as_str());
        let seq = seq.saturating_add(offset);
        put.execute(params![to, seq, agent, lane, attempts])?;
    }
    Ok(())
}
