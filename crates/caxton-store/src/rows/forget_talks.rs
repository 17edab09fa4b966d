//! How conversations are forgotten: all that was said in one at once, or, in retention, the summary of
//! one that is old and whose last message is forgotten.

use super::forget::needed_by_calls;
use super::{Ask, limit, messages, summary};
use crate::error::Error;
use crate::sql;
use caxton_core::{ConversationId, Timestamp};
use caxton_engine::port::store::{DeliveryState, MessageFilter};
use rusqlite::params;

/// Messages of a conversation that are looked at together.
const PAGE_ROWS: usize = 256;

/// Conversations looked at in one commit: those that are kept (a message waits, or is a dead letter)
/// cost a look, too.
const LOOKS_MAX: usize = 4_096;

/// Where the walk from the oldest stands: the time and id of the conversation looked at last.
pub(crate) type Place = (i64, String);

/// What one piece of the walk did.
pub(crate) struct Walked {
    pub(crate) forgotten: Vec<ConversationId>,
    /// Where to go on; none at the end.
    pub(crate) next: Option<Place>,
}

/// Forgets the summaries of conversations last active before `before` that have no message any more.
pub(crate) fn forget_conversations(
    ask: &Ask<'_>,
    before: Timestamp,
    after: Option<Place>,
    rows_max: usize,
) -> Result<Walked, Error> {
    let (time, id) = after.unwrap_or((i64::MIN, String::new()));
    let mut old = Vec::new();
    {
        let mut list = ask.conn.prepare_cached(sql::CONVERSATION_OLDEST)?;
        let row = params![ask.tenant, before.as_us(), time, id, limit(LOOKS_MAX)];
        let mut rows = list.query(row)?;
        while let Some(row) = rows.next()? {
            let talk = summary(row, ask.home)?.conversation;
            old.push((talk.last.as_us(), talk.id));
        }
    }
    let mut walked = Walked {
        forgotten: Vec::new(),
        next: None,
    };
    let mut remove = ask.conn.prepare_cached(sql::CONVERSATION_REMOVE)?;
    let last_page = old.len() < LOOKS_MAX;
    for (index, (time, id)) in old.iter().enumerate() {
        if walked.forgotten.len() >= rows_max {
            break;
        }
        let filter = MessageFilter {
            conversation: Some(id.clone()),
            ..MessageFilter::default()
        };
        if messages(ask, &filter, None, 1)?.is_empty() {
            remove.execute(params![ask.tenant, id.as_str()])?;
            walked.forgotten.push(id.clone());
        }
        let ended = index + 1 == old.len() && last_page;
        walked.next = (!ended).then(|| (*time, id.as_str().to_owned()));
    }
    Ok(walked)
}

/// What forgetting one conversation did.
#[derive(Default)]
pub(crate) struct Forgotten {
    pub(crate) messages: u32,
    /// None of its messages is left, and its summary is gone.
    pub(crate) whole: bool,
}

/// Forgets messages of a conversation that no mailbox and no call needs, with their dead letters.
pub(crate) fn forget_conversation(
    ask: &Ask<'_>,
    id: &ConversationId,
    rows_max: u32,
) -> Result<Forgotten, Error> {
    let needed = needed_by_calls(ask.conn, ask.tenant, ask.home)?;
    let filter = MessageFilter {
        conversation: Some(id.clone()),
        ..MessageFilter::default()
    };
    let (mut done, mut kept, mut after) = (Forgotten::default(), false, None);
    loop {
        let page = messages(ask, &filter, after, PAGE_ROWS)?;
        let last_page = page.len() < PAGE_ROWS;
        after = page.last().map(|(seq, _)| *seq);
        for (seq, row) in page {
            if done.messages >= rows_max {
                return Ok(done);
            }
            let waits = |it: &DeliveryState| matches!(it, DeliveryState::Pending);
            let message = row.message.id;
            if needed.contains(&message) || row.open.iter().any(|it| waits(&it.state)) {
                kept = true;
                continue;
            }
            let mut remove = ask.conn.prepare_cached(sql::DEAD_LETTER_REMOVE)?;
            for dead in &row.open {
                let receiver = dead.mailbox.agent.name.as_str();
                remove.execute(params![ask.tenant, message.as_bytes(), receiver])?;
            }
            let mut delete = ask.conn.prepare_cached(sql::MESSAGE_DELETE)?;
            delete.execute(params![ask.tenant, seq])?;
            done.messages += 1;
        }
        if last_page {
            break;
        }
    }
    if !kept {
        let mut remove = ask.conn.prepare_cached(sql::CONVERSATION_REMOVE)?;
        remove.execute(params![ask.tenant, id.as_str()])?;
        done.whole = true;
    }
    Ok(done)
}
