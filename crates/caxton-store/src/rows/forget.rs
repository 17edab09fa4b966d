//! Retention: forgets old handled messages. Runs in the writer's transaction.

use super::{blob, exists, message_id};
use crate::codec;
use crate::error::Error;
use crate::file::tail::{Term, search};
use crate::sql;
use caxton_core::{MessageId, TenantId, Timestamp};
use rusqlite::{Connection, params};
use std::collections::HashSet;
use std::time::Duration;

/// Messages looked at in one step.
const STEP_ROWS: u32 = 256;

/// Forgets messages created before `before` that no mailbox, dead letter or call needs, oldest
/// first, `rows_max` at most; says how many.
///
/// Ids are UUIDv7 and so in the order of `created`, to the millisecond: the oldest are found
/// without an index of times.
pub(crate) fn forget(
    conn: &Connection,
    tenant: i64,
    home: &TenantId,
    before: Timestamp,
    rows_max: u32,
) -> Result<u32, Error> {
    let needed = needed_by_calls(conn, tenant, home)?;
    // One millisecond more than asked, for ids carry no less; `created` decides.
    let bound = MessageId::from_parts(before.plus(Duration::from_millis(1)), [0; 10]);
    let mut after: Vec<u8> = Vec::new();
    let mut forgotten = 0;
    while forgotten < rows_max {
        let old = old(conn, tenant, home, &after, bound)?;
        let Some(last) = old.last() else {
            break;
        };
        after = last.id.as_bytes().to_vec();
        for row in old {
            let free = row.created < before
                && !needed.contains(&row.id)
                && !is_pending(conn, tenant, &row)?
                && !exists(
                    conn,
                    sql::DEAD_LETTER_EXISTS,
                    params![tenant, row.id.as_bytes()],
                )?;
            if free && forgotten < rows_max {
                let mut delete = conn.prepare_cached(sql::MESSAGE_DELETE)?;
                delete.execute(params![tenant, row.seq])?;
                forgotten += 1;
            }
        }
    }
    forget_segments(conn, tenant)?;
    Ok(forgotten)
}

struct Old {
    seq: i64,
    id: MessageId,
    created: Timestamp,
    /// Agent and key of each mailbox it was put into.
    mailboxes: Vec<(String, String)>,
}

fn old(
    conn: &Connection,
    tenant: i64,
    home: &TenantId,
    after: &[u8],
    bound: MessageId,
) -> Result<Vec<Old>, Error> {
    let mut list = conn.prepare_cached(sql::MESSAGE_OLD)?;
    let mut rows = list.query(params![tenant, after, bound.as_bytes(), STEP_ROWS])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let body = codec::read_body(blob(row, 2)?, home)?;
        let names = body.mailboxes.iter().map(|mailbox| {
            let agent = mailbox.agent.name.as_str().to_owned();
            (agent, mailbox.key.as_str().to_owned())
        });
        found.push(Old {
            seq: row.get(0)?,
            id: message_id(row, 1)?,
            created: body.message.created,
            mailboxes: names.collect(),
        });
    }
    Ok(found)
}

fn is_pending(conn: &Connection, tenant: i64, row: &Old) -> Result<bool, Error> {
    for (agent, mailbox) in &row.mailboxes {
        if exists(
            conn,
            sql::INBOX_ONE,
            params![tenant, agent, mailbox, row.seq],
        )? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ids that a call still needs: of the message being handled, of the request (so that a retry is
/// known as a duplicate), of the answer.
fn needed_by_calls(
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

/// Drops the oldest segments as long as none of their messages is left.
fn forget_segments(conn: &Connection, tenant: i64) -> Result<(), Error> {
    loop {
        let oldest = {
            let mut get = conn.prepare_cached(sql::SEGMENT_OLDEST)?;
            let mut rows = get.query([tenant])?;
            let Some(row) = rows.next()? else {
                return Ok(());
            };
            let first: i64 = row.get(0)?;
            (first, search(blob(row, 1)?, first, Term::Any))
        };
        let (first, sequences) = oldest;
        for seq in sequences {
            if exists(conn, sql::MESSAGE_EXISTS, params![tenant, seq])? {
                return Ok(());
            }
        }
        let mut delete = conn.prepare_cached(sql::SEGMENT_DELETE)?;
        delete.execute(params![tenant, first])?;
    }
}
