//! Retention: forgets old handled messages. Runs in the writer's transaction.

use super::{blob, exists, message_id};
use crate::codec;
use crate::error::Error;
use crate::file::Shared;
use crate::file::inbox::Inbox;
use crate::file::tail::{Term, search};
use crate::sql;
use caxton_core::{MessageId, TenantId, Timestamp};
use rusqlite::{Connection, params};
use std::collections::HashSet;

/// Messages in a row that are too young before the search ends. Messages are stamped a moment before
/// they are accepted, so a few stand in another order than their times.
const YOUNG_IN_A_ROW_MAX: u32 = 256;

/// One tenant's retention.
pub(crate) struct Forget<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) shared: &'a Shared,
    pub(crate) tenant: i64,
    pub(crate) home: &'a TenantId,
    pub(crate) before: Timestamp,
    pub(crate) rows_max: u32,
}

/// Forgets messages created before `before` that no mailbox, dead letter or call needs, in the order
/// they were accepted, `rows_max` at most; says how many.
pub(crate) fn forget(ask: &Forget<'_>) -> Result<u32, Error> {
    let inbox = ask.shared.inbox.read();
    let mut work = Work {
        needed: needed_by_calls(ask.conn, ask.tenant, ask.home)?,
        inbox: &inbox,
        forgotten: 0,
        kept: 0,
        young: 0,
    };
    let mut ended = false;
    let mut empty = Vec::new();
    {
        let mut list = ask.conn.prepare_cached(sql::SEGMENT_UP)?;
        let mut rows = list.query(params![ask.tenant, i64::MAX, 0])?;
        while let Some(row) = rows.next()?
            && !ended
        {
            let first: i64 = row.get(0)?;
            let mut get = ask.conn.prepare_cached(sql::SEGMENT_TRACES)?;
            let packed: Vec<u8> = get.query_row(params![ask.tenant, first], |row| row.get(0))?;
            work.kept = 0;
            ended = work.forget_all(ask, search(&packed, first, Term::Any))?;
            if !ended && work.kept == 0 {
                empty.push(first);
            }
        }
    }
    if !ended {
        let tail = ask.shared.tail.read().find(ask.tenant, Term::Any);
        work.forget_all(ask, tail)?;
    }
    // Whatever stands before them: behind one old dead letter the search would otherwise look for
    // every message that there ever was.
    let mut delete = ask.conn.prepare_cached(sql::SEGMENT_DELETE)?;
    for first in empty {
        delete.execute(params![ask.tenant, first])?;
    }
    Ok(work.forgotten)
}

struct Work<'a> {
    needed: HashSet<MessageId>,
    inbox: &'a Inbox,
    forgotten: u32,
    /// Messages that stay, of the segment looked at.
    kept: u32,
    /// Messages that were too young since the last that was not.
    young: u32,
}

impl Work<'_> {
    /// Answers whether the search has ended.
    fn forget_all(&mut self, ask: &Forget<'_>, sequences: Vec<i64>) -> Result<bool, Error> {
        for seq in sequences {
            if self.forgotten >= ask.rows_max || self.young > YOUNG_IN_A_ROW_MAX {
                return Ok(true);
            }
            self.forget_one(ask, seq)?;
        }
        Ok(false)
    }

    fn forget_one(&mut self, ask: &Forget<'_>, seq: i64) -> Result<(), Error> {
        let body = {
            let mut get = ask.conn.prepare_cached(sql::MESSAGE_BY_SEQ)?;
            let mut rows = get.query(params![ask.tenant, seq])?;
            // Forgotten before.
            let Some(row) = rows.next()? else {
                return Ok(());
            };
            codec::read_body(blob(row, 0)?, ask.home)?
        };
        if body.message.created >= ask.before {
            self.young += 1;
            self.kept += 1;
            return Ok(());
        }
        self.young = 0;
        let id = body.message.id;
        let mut mailboxes = body.mailboxes.iter();
        let waits =
            mailboxes.any(|mailbox| self.inbox.attempts(ask.tenant, mailbox, seq).is_some());
        let key = params![ask.tenant, id.as_bytes()];
        if waits || self.needed.contains(&id) || exists(ask.conn, sql::DEAD_LETTER_EXISTS, key)? {
            self.kept += 1;
            return Ok(());
        }
        let mut delete = ask.conn.prepare_cached(sql::MESSAGE_DELETE)?;
        delete.execute(params![ask.tenant, seq])?;
        self.forgotten += 1;
        Ok(())
    }
}

/// Ids that a call still needs: of the message being handled, of the request (so that a retry is
/// known as a duplicate), of the answer.
pub(super) fn needed_by_calls(
    conn: &Connection,
    tenant: i64,
    home: &TenantId,
) -> Result<HashSet<MessageId>, Error> {
    let mut list = conn.prepare_cached(sql::CALL_ALL)?;
    let mut rows = list.query([tenant])?;
    let mut needed = HashSet::new();
    while let Some(row) = rows.next()? {
        needed.insert(message_id(row, 0)?);
        needed.insert(codec::read_body(blob(row, 1)?, home)?.message.id);
        let answer: Option<Vec<u8>> = row.get(2)?;
        if let Some(bytes) = answer {
            needed.insert(codec::read_body(&bytes, home)?.message.id);
        }
    }
    Ok(needed)
}
