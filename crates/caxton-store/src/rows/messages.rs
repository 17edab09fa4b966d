//! Messages: by id, and found through segments and tail.

use super::letters::of_message;
use super::{Ask, blob, exists};
use crate::codec::{self, Body};
use crate::error::Error;
use crate::file::tail::{Term, hash};
use crate::sql;
use caxton_core::MessageId;
use caxton_engine::port::store::{DeliveryState, DeliveryStatus, MessageFilter, Recorded};
use rusqlite::params;

pub(crate) fn message(ask: &Ask<'_>, id: MessageId) -> Result<Option<Recorded>, Error> {
    let mut get = ask.conn.prepare_cached(sql::MESSAGE_BY_ID)?;
    let mut rows = get.query(params![ask.tenant, id.as_bytes()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let body = codec::read_body(blob(row, 1)?, ask.home)?;
    recorded(ask, row.get(0)?, body, true).map(Some)
}

/// The message and where it stands with each receiver that has not handled it.
/// `dead` says whether the tenant has dead letters at all: most have none to look for.
fn recorded(ask: &Ask<'_>, seq: i64, body: Body, dead: bool) -> Result<Recorded, Error> {
    let mut open = Vec::new();
    let inbox = ask.shared.inbox.read();
    for mailbox in body.mailboxes {
        if let Some(attempts) = inbox.attempts(ask.tenant, &mailbox, seq) {
            open.push(DeliveryStatus {
                mailbox,
                state: DeliveryState::Pending,
                attempts,
                error: None,
            });
        }
    }
    drop(inbox);
    if dead {
        let letters = of_message(ask, body.message.id)?;
        open.extend(letters.iter().map(|letter| letter.status()));
    }
    Ok(Recorded {
        message: body.message,
        open,
    })
}

/// Messages that match, each with its sequence: oldest first for a conversation or a trace, else
/// newest first.
pub(crate) fn messages(
    ask: &Ask<'_>,
    filter: &MessageFilter,
    after: Option<i64>,
    rows_max: usize,
) -> Result<Vec<(i64, Recorded)>, Error> {
    let mut found = Found {
        ask,
        filter,
        rows_max,
        dead: exists(ask.conn, sql::DEAD_LETTER_ANY, [ask.tenant])?,
        rows: Vec::new(),
    };
    let conversation = match &filter.conversation {
        Some(id) => match super::conversation(ask.conn, ask.tenant, ask.home, id)? {
            Some(summary) => Some((id, summary)),
            None => return Ok(Vec::new()),
        },
        None => None,
    };
    let (term, bounds) = match (&conversation, &filter.trace_id, &filter.agent) {
        (Some((id, summary)), _, _) => (
            Term::Conversation(hash(id.as_str().as_bytes())),
            (summary.seq_first, summary.seq_last),
        ),
        (None, Some(trace), _) => (Term::Trace(hash(trace)), (0, i64::MAX)),
        (None, None, Some(agent)) => (Term::Agent(hash(agent.as_str().as_bytes())), (0, i64::MAX)),
        (None, None, None) => (Term::Any, (0, i64::MAX)),
    };
    // The tail first: what is sealed after this look is past `tail_first` and is not read again.
    let (tail, tail_first) = {
        let tail = ask.shared.tail.read();
        (tail.find(ask.tenant, term), tail.first())
    };
    if matches!(term, Term::Conversation(_) | Term::Trace(_)) {
        let from = after.map_or(bounds.0, |at| at.saturating_add(1).max(bounds.0));
        found.upwards(term, from, bounds.1, tail_first, &tail)?;
    } else {
        found.downwards(term, after.unwrap_or(i64::MAX), tail_first, &tail)?;
    }
    Ok(found.rows)
}

/// A list that fills up.
struct Found<'a> {
    ask: &'a Ask<'a>,
    filter: &'a MessageFilter,
    rows_max: usize,
    /// Whether the tenant has dead letters.
    dead: bool,
    rows: Vec<(i64, Recorded)>,
}

impl Found<'_> {
    /// From the oldest: sealed rows, then the tail. All bounds are inclusive.
    fn upwards(
        &mut self,
        term: Term,
        from: i64,
        until: i64,
        tail_first: i64,
        tail: &[i64],
    ) -> Result<(), Error> {
        let sealed_until = until.min(tail_first.saturating_sub(1));
        let mut list = self.ask.conn.prepare_cached(sql::SEGMENT_UP)?;
        let mut rows = list.query(params![self.ask.tenant, sealed_until, from])?;
        while let Some(row) = rows.next()? {
            let segments = &self.ask.shared.segments;
            let sequences = segments.find(self.ask, row.get(0)?, term)?;
            self.take(sequences.into_iter().filter(|seq| *seq >= from))?;
            if self.is_full() {
                return Ok(());
            }
        }
        let tail = tail.iter().copied();
        self.take(tail.filter(|seq| (from..=until).contains(seq)))
    }

    /// From the newest: the tail, then sealed rows. `before` is exclusive.
    fn downwards(
        &mut self,
        term: Term,
        before: i64,
        tail_first: i64,
        tail: &[i64],
    ) -> Result<(), Error> {
        let newest_first = tail.iter().rev().copied();
        self.take(newest_first.filter(|seq| *seq < before))?;
        if self.is_full() {
            return Ok(());
        }
        let before = before.min(tail_first);
        let mut list = self.ask.conn.prepare_cached(sql::SEGMENT_DOWN)?;
        let mut rows = list.query(params![self.ask.tenant, before])?;
        while let Some(row) = rows.next()? {
            let segments = &self.ask.shared.segments;
            let sequences = segments.find(self.ask, row.get(0)?, term)?;
            self.take(sequences.into_iter().rev().filter(|seq| *seq < before))?;
            if self.is_full() {
                break;
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= self.rows_max
    }

    /// Reads the messages until the list is full. A hash may be of another name, and a message may
    /// be forgotten already: the message itself decides.
    fn take(&mut self, sequences: impl Iterator<Item = i64>) -> Result<(), Error> {
        let mut get = self.ask.conn.prepare_cached(sql::MESSAGE_BY_SEQ)?;
        for seq in sequences {
            if self.is_full() {
                break;
            }
            let mut rows = get.query(params![self.ask.tenant, seq])?;
            let Some(row) = rows.next()? else {
                continue;
            };
            let body = codec::read_body(blob(row, 0)?, self.ask.home)?;
            drop(rows);
            if self.filter.matches(&body.message) {
                let row = recorded(self.ask, seq, body, self.dead)?;
                self.rows.push((seq, row));
            }
        }
        Ok(())
    }
}
