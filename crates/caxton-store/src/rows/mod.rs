//! Queries: rows into words. Each takes the number that stands for the tenant in the file, so that a
//! row of another tenant cannot be named here.

mod forget;
mod forget_talks;
mod letters;
mod messages;
mod plain;
mod segments;
mod verify;

pub(crate) use forget::{Forget, forget};
pub(crate) use forget_talks::{Place, forget_conversation, forget_conversations};
pub(crate) use letters::{dead_letter, dead_letters};
pub(crate) use messages::{message, messages};
pub(crate) use plain::{
    agents, artifact, call, calls_open, conversations, log, pending, position, record, records,
    state, state_keys, timers,
};
pub(crate) use segments::Segments;
pub(crate) use verify::verify;

use crate::codec::{self, Malformed};
use crate::error::Error;
use crate::file::{Shared, Summary};
use crate::sql;
use caxton_core::manifest::{BehaviorKind, Manifest};
use caxton_core::{AgentId, AgentName, ConversationId, MailboxId, MailboxKey, MessageId, TenantId};
use caxton_engine::port::StoreError;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// A read of one tenant's rows.
pub(crate) struct Ask<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) shared: &'a Shared,
    pub(crate) tenant: i64,
    pub(crate) home: &'a TenantId,
}

/// A blob's bytes where they are, without a copy.
pub(crate) fn blob<'r>(row: &'r Row<'_>, index: usize) -> Result<&'r [u8], Error> {
    match row.get_ref(index)? {
        ValueRef::Blob(bytes) => Ok(bytes),
        _ => Err(Error::Row(Malformed("not a blob"))),
    }
}

pub(crate) fn tenant_id(text: &str) -> Result<TenantId, Error> {
    TenantId::parse_stored(text).map_err(|_| Error::Row(Malformed("tenant id")))
}

fn agent_name(text: &str) -> Result<AgentName, Error> {
    AgentName::parse(text).map_err(|_| Error::Row(Malformed("agent name")))
}

fn message_id(row: &Row<'_>, index: usize) -> Result<MessageId, Error> {
    let bytes = blob(row, index)?.try_into();
    let bytes = bytes.map_err(|_| Malformed("message id"))?;
    Ok(MessageId::from_bytes(bytes))
}

/// The mailbox in two neighbouring columns.
pub(crate) fn mailbox(row: &Row<'_>, index: usize, home: &TenantId) -> Result<MailboxId, Error> {
    let (agent, key): (String, String) = (row.get(index)?, row.get(index + 1)?);
    let key = MailboxKey::parse(&key).map_err(|_| Malformed("mailbox key"))?;
    Ok(MailboxId {
        agent: AgentId::new(home.clone(), agent_name(&agent)?),
        key,
    })
}

/// A count of rows as SQL takes it.
fn limit(rows_max: usize) -> i64 {
    i64::try_from(rows_max).unwrap_or(i64::MAX)
}

pub(crate) fn conversation(
    conn: &Connection,
    tenant: i64,
    home: &TenantId,
    id: &ConversationId,
) -> Result<Option<Summary>, Error> {
    let mut get = conn.prepare_cached(sql::CONVERSATION_GET)?;
    let mut found = get.query(params![tenant, id.as_str()])?;
    match found.next()? {
        Some(row) => Ok(Some(summary(row, home)?)),
        None => Ok(None),
    }
}

fn summary(row: &Row<'_>, home: &TenantId) -> Result<Summary, Error> {
    let id: String = row.get(0)?;
    Ok(Summary {
        conversation: codec::read_conversation(blob(row, 3)?, &id, home)?,
        seq_first: row.get(1)?,
        seq_last: row.get(2)?,
    })
}

/// The manifest as JSON, and whether its behavior is native, which JSON does not have: no door may
/// say it.
pub(crate) fn write_manifest(manifest: &Manifest) -> Result<(String, bool), Error> {
    let native = manifest.behavior == BehaviorKind::Native;
    let behavior = match native {
        true => BehaviorKind::default(),
        false => manifest.behavior,
    };
    let plain = Manifest {
        behavior,
        ..manifest.clone()
    };
    let json = serde_json::to_string(&plain)
        .map_err(|error| StoreError::Failed(format!("cannot write a manifest: {error}")))?;
    Ok((json, native))
}

fn read_manifest(json: &str, native: bool) -> Result<Manifest, Error> {
    let mut manifest: Manifest =
        serde_json::from_str(json).map_err(|_| Error::Row(Malformed("manifest")))?;
    if native {
        manifest.behavior = BehaviorKind::Native;
    }
    Ok(manifest)
}

/// Whether a row with this key is there.
fn exists(conn: &Connection, statement: &str, key: impl rusqlite::Params) -> Result<bool, Error> {
    let mut get = conn.prepare_cached(statement)?;
    Ok(get.query_row(key, |_| Ok(())).optional()?.is_some())
}
