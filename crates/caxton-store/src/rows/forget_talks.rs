//! Retention of conversations' summaries: one goes when it is old and its last message is forgotten.

use super::{Ask, limit, messages, summary};
use crate::error::Error;
use crate::sql;
use caxton_core::{ConversationId, Timestamp};
use caxton_engine::port::store::MessageFilter;
use rusqlite::params;

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
