//! Queries that are one statement each.

use super::{Ask, agent_name, blob, limit, mailbox, message_id, read_manifest, summary};
use crate::codec::{self, Malformed};
use crate::error::Error;
use crate::sql;
use bytes::Bytes;
use caxton_core::conversation::Conversation;
use caxton_core::lifecycle::Phase;
use caxton_core::{Digest, MailboxId, MessageId, Timestamp};
use caxton_engine::port::page::Position;
use caxton_engine::port::store::{
    AgentRecord, CallId, CallRecord, LogName, LogRange, Pending, RecordKind, RecordRange, Timer,
};
use rusqlite::{OptionalExtension as _, Row, params};

pub(crate) fn agents(ask: &Ask<'_>) -> Result<Vec<AgentRecord>, Error> {
    let mut list = ask.conn.prepare_cached(sql::AGENT_LIST)?;
    let mut rows = list.query([ask.tenant])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(agent(row)?);
    }
    Ok(found)
}

fn agent(row: &Row<'_>) -> Result<AgentRecord, Error> {
    let (name, json, phase): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(4)?);
    let digest: Option<[u8; 32]> = row.get(3)?;
    Ok(AgentRecord {
        agent: agent_name(&name)?,
        manifest: read_manifest(&json, row.get(2)?)?,
        digest: digest.map(Digest),
        phase: Phase::parse(&phase).ok_or(Malformed("phase"))?,
        created: Timestamp::from_us(row.get(5)?),
        updated: Timestamp::from_us(row.get(6)?),
    })
}

pub(crate) fn artifact(ask: &Ask<'_>, digest: Digest) -> Result<Option<Bytes>, Error> {
    let mut get = ask.conn.prepare_cached(sql::ARTIFACT_GET)?;
    let found: Option<Vec<u8>> = get
        .query_row(params![ask.tenant, digest.0], |row| row.get(0))
        .optional()?;
    Ok(found.map(Bytes::from))
}

pub(crate) fn pending(
    ask: &Ask<'_>,
    mailbox: &MailboxId,
    rows_max: u32,
) -> Result<Vec<Pending>, Error> {
    let waiting = {
        let inbox = ask.shared.inbox.read();
        inbox.waiting(ask.tenant, mailbox, rows_max as usize)
    };
    let mut get = ask.conn.prepare_cached(sql::MESSAGE_BY_SEQ)?;
    let mut found = Vec::with_capacity(waiting.len());
    for (seq, attempts) in waiting {
        let mut rows = get.query(params![ask.tenant, seq])?;
        // Handled and forgotten since the look at the mailbox.
        let Some(row) = rows.next()? else {
            continue;
        };
        let body = codec::read_body(blob(row, 0)?, ask.home)?;
        found.push(Pending {
            message: body.message,
            attempts,
        });
    }
    Ok(found)
}

pub(crate) fn state(ask: &Ask<'_>, mailbox: &MailboxId, key: &str) -> Result<Option<Bytes>, Error> {
    let mut get = ask.conn.prepare_cached(sql::STATE_GET)?;
    let (agent, lane) = (mailbox.agent.name.as_str(), mailbox.key.as_str());
    let found: Option<Vec<u8>> = get
        .query_row(params![ask.tenant, agent, lane, key], |row| row.get(0))
        .optional()?;
    Ok(found.map(Bytes::from))
}

pub(crate) fn state_keys(
    ask: &Ask<'_>,
    mailbox: &MailboxId,
    prefix: &str,
    after: &str,
    rows_max: u32,
) -> Result<Vec<String>, Error> {
    let mut list = ask.conn.prepare_cached(sql::STATE_KEYS)?;
    let (agent, lane) = (mailbox.agent.name.as_str(), mailbox.key.as_str());
    let mut rows = list.query(params![ask.tenant, agent, lane, after, prefix, rows_max])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        // In byte order all keys with the prefix stand together.
        if !key.starts_with(prefix) {
            break;
        }
        found.push(key);
    }
    Ok(found)
}

pub(crate) fn record(ask: &Ask<'_>, kind: RecordKind, id: &str) -> Result<Option<Bytes>, Error> {
    let mut get = ask.conn.prepare_cached(sql::RECORD_GET)?;
    let found: Option<Vec<u8>> = get
        .query_row(params![ask.tenant, kind.0, id], |row| row.get(0))
        .optional()?;
    Ok(found.map(Bytes::from))
}

pub(crate) fn records(
    ask: &Ask<'_>,
    kind: RecordKind,
    range: RecordRange<'_>,
    rows_max: u32,
) -> Result<Vec<(String, Bytes)>, Error> {
    let prefix = range.prefix;
    let (statement, behind) = match range.descending {
        true => (sql::RECORD_LIST_DOWN, range.before()),
        false => (sql::RECORD_LIST, range.after.to_owned()),
    };
    let mut list = ask.conn.prepare_cached(statement)?;
    let mut rows = list.query(params![ask.tenant, kind.0, behind, prefix, rows_max])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        if !id.starts_with(prefix) {
            break;
        }
        found.push((id, Bytes::copy_from_slice(blob(row, 1)?)));
    }
    Ok(found)
}

pub(crate) fn log(
    ask: &Ask<'_>,
    log: &LogName,
    range: LogRange,
    rows_max: u32,
) -> Result<Vec<(u64, Bytes)>, Error> {
    let statement = if range.newest_first {
        sql::LOG_DOWN
    } else {
        sql::LOG_UP
    };
    let mut list = ask.conn.prepare_cached(statement)?;
    let (from, before) = (position(range.from), position(range.before));
    let row = params![ask.tenant, log.kind, log.key, from, before, rows_max];
    let mut rows = list.query(row)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let index: i64 = row.get(0)?;
        let index = u64::try_from(index).map_err(|_| Malformed("log position"))?;
        found.push((index, Bytes::copy_from_slice(blob(row, 1)?)));
    }
    Ok(found)
}

/// A log's index as SQLite has numbers; past its largest is its largest.
pub(crate) fn position(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

pub(crate) fn timers(ask: &Ask<'_>) -> Result<Vec<Timer>, Error> {
    let mut list = ask.conn.prepare_cached(sql::TIMER_LIST)?;
    let mut rows = list.query([ask.tenant])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let origin: Option<[u8; 16]> = row.get(5)?;
        found.push(Timer {
            mailbox: mailbox(row, 0, ask.home)?,
            name: row.get(2)?,
            due: Timestamp::from_us(row.get(3)?),
            content: Bytes::copy_from_slice(blob(row, 4)?),
            origin: origin.map(MessageId::from_bytes),
        });
    }
    Ok(found)
}

pub(crate) fn call(ask: &Ask<'_>, call: &CallId) -> Result<Option<CallRecord>, Error> {
    let mut get = ask.conn.prepare_cached(sql::CALL_GET)?;
    let mailbox = &call.mailbox;
    let (agent, key) = (mailbox.agent.name.as_str(), mailbox.key.as_str());
    let id = call.message.as_bytes();
    let mut rows = get.query(params![ask.tenant, agent, key, id, call.index])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let request = codec::read_body(blob(row, 0)?, ask.home)?.message;
    let answer: Option<Vec<u8>> = row.get(1)?;
    let answer = match answer {
        Some(bytes) => Some(codec::read_body(&bytes, ask.home)?.message),
        None => None,
    };
    Ok(Some(CallRecord { request, answer }))
}

pub(crate) fn calls_open(ask: &Ask<'_>) -> Result<Vec<(CallId, CallRecord)>, Error> {
    let mut list = ask.conn.prepare_cached(sql::CALL_OPEN)?;
    let mut rows = list.query([ask.tenant])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let call = CallId {
            mailbox: mailbox(row, 0, ask.home)?,
            message: message_id(row, 2)?,
            index: row.get(3)?,
        };
        let request = codec::read_body(blob(row, 4)?, ask.home)?.message;
        let record = CallRecord {
            request,
            answer: None,
        };
        found.push((call, record));
    }
    Ok(found)
}

/// Most recently active first, after a position.
pub(crate) fn conversations(
    ask: &Ask<'_>,
    after: Option<&Position>,
    rows_max: usize,
) -> Result<Vec<(Position, Conversation)>, Error> {
    let statement = match after {
        Some(_) => sql::CONVERSATION_PAGE,
        None => sql::CONVERSATION_PAGE_FIRST,
    };
    let mut list = ask.conn.prepare_cached(statement)?;
    let rows_max = limit(rows_max);
    let mut rows = match after {
        Some(after) => list.query(params![ask.tenant, after.at, after.id, rows_max])?,
        None => list.query(params![ask.tenant, rows_max])?,
    };
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let conversation = summary(row, ask.home)?.conversation;
        let position = Position::of_time(conversation.last, conversation.id.as_str());
        found.push((position, conversation));
    }
    Ok(found)
}
