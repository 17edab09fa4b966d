//! Dead letters, each with its message.

use super::{Ask, agent_name, blob, limit, message_id};
use crate::codec::{self, Malformed};
use crate::error::Error;
use crate::sql;
use caxton_core::{AgentId, MailboxId, MailboxKey, Message, MessageId, Timestamp};
use caxton_engine::port::StoreError;
use caxton_engine::port::page::{self, Position};
use caxton_engine::port::store::{DeadLetter, DeadLetterId};
use rusqlite::{Row, params};
use std::sync::Arc;

type Letter = (DeadLetter, Arc<Message>);

pub(crate) fn dead_letter(ask: &Ask<'_>, id: &DeadLetterId) -> Result<Option<Letter>, Error> {
    let mut get = ask.conn.prepare_cached(sql::DEAD_LETTER_ONE)?;
    let mut rows = get.query(params![
        ask.tenant,
        id.message.as_bytes(),
        id.receiver.as_str()
    ])?;
    match rows.next()? {
        Some(row) => Ok(Some(with_message(ask, letter(ask, row)?)?)),
        None => Ok(None),
    }
}

/// Newest first, after a position.
pub(crate) fn dead_letters(
    ask: &Ask<'_>,
    after: Option<&Position>,
    rows_max: usize,
) -> Result<Vec<(Position, Letter)>, Error> {
    let rows_max = limit(rows_max);
    let statement = match after {
        Some(_) => sql::DEAD_LETTER_PAGE,
        None => sql::DEAD_LETTER_PAGE_FIRST,
    };
    let mut list = ask.conn.prepare_cached(statement)?;
    let mut rows = match after {
        Some(after) => {
            let id = DeadLetterId::parse(&after.id).map_err(|_| StoreError::BadToken)?;
            let message = id.message.as_bytes();
            let receiver = id.receiver.as_str();
            list.query(params![ask.tenant, after.at, message, receiver, rows_max])?
        }
        None => list.query(params![ask.tenant, rows_max])?,
    };
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let letter = letter(ask, row)?;
        let order = page::dead_letter_order(letter.id.message, letter.id.receiver.as_str());
        let position = Position::of_time(letter.buried, order);
        found.push((position, with_message(ask, letter)?));
    }
    Ok(found)
}

/// A message's dead letters, by receiver.
pub(super) fn of_message(ask: &Ask<'_>, id: MessageId) -> Result<Vec<DeadLetter>, Error> {
    let mut list = ask.conn.prepare_cached(sql::DEAD_LETTER_OF_MESSAGE)?;
    let mut rows = list.query(params![ask.tenant, id.as_bytes()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(letter(ask, row)?);
    }
    Ok(found)
}

fn letter(ask: &Ask<'_>, row: &Row<'_>) -> Result<DeadLetter, Error> {
    let (receiver, key): (String, String) = (row.get(1)?, row.get(2)?);
    let receiver = agent_name(&receiver)?;
    let key = MailboxKey::parse(&key).map_err(|_| Malformed("mailbox key"))?;
    Ok(DeadLetter {
        id: DeadLetterId {
            message: message_id(row, 0)?,
            receiver: receiver.clone(),
        },
        mailbox: MailboxId {
            agent: AgentId::new(ask.home.clone(), receiver),
            key,
        },
        code: row.get(3)?,
        reason: row.get(4)?,
        attempts: row.get(5)?,
        buried: Timestamp::from_us(row.get(6)?),
    })
}

fn with_message(ask: &Ask<'_>, letter: DeadLetter) -> Result<Letter, Error> {
    let mut get = ask.conn.prepare_cached(sql::MESSAGE_BY_ID)?;
    let mut rows = get.query(params![ask.tenant, letter.id.message.as_bytes()])?;
    let row = rows.next()?.ok_or(Malformed("a dead letter's message"))?;
    let body = codec::read_body(blob(row, 1)?, ask.home)?;
    Ok((letter, body.message))
}
