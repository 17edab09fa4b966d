//! Page tokens: where a list goes on. One format for every store, so that a token is either of
//! exactly this list (its name, tenant and filter) or is refused.
//!
//! A token is not a secret and grants nothing: rows are always looked up inside the caller's scope.
//! The sum is there against mistakes (a token of another list, a cut or edited one), not as a seal.

use super::StoreError;
use super::store::{LogName, MessageFilter, Page, PageRequest};
use crate::opctx::TenantScope;
use caxton_core::error::Error;
use caxton_core::{MessageId, Timestamp};

/// Longest token, in hex digits: the longest position is a conversation's (8 + 255 bytes).
const TOKEN_BYTES_MAX: usize = 1024;
/// Bytes of the sum at a token's end.
const SUM_BYTES: usize = 8;

/// Which list a token belongs to.
#[derive(Clone, Copy, Debug)]
pub enum List<'a> {
    Messages(&'a MessageFilter),
    Conversations,
    DeadLetters,
    /// Records of a kind whose ids begin with a prefix.
    Records(&'a str, &'a str),
    /// Entries of a log, by kind and key, that pass a filter: its text.
    Log(&'a LogName, &'a str),
}

/// A position in a list: all of the last row's sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The store's sequence number of a message, or a time in microseconds since 1970.
    pub at: i64,
    /// What orders rows of one time: an id's text.
    pub id: String,
}

impl Position {
    pub fn of_sequence(sequence: i64) -> Self {
        Self {
            at: sequence,
            id: String::new(),
        }
    }

    pub fn of_time(at: Timestamp, id: impl Into<String>) -> Self {
        Self {
            at: at.as_us(),
            id: id.into(),
        }
    }
}

/// Writes the token for the rows after `position`.
pub fn token(list: List<'_>, scope: &TenantScope, position: &Position) -> String {
    let mut bytes = position.at.to_be_bytes().to_vec();
    bytes.extend_from_slice(position.id.as_bytes());
    let sum = sum(list, scope, &bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// A page of a list whose last rows are not in the store: `own` gives those that are, page by page, and
/// `others` are those that come after. `kind` is what the rows are.
pub async fn followed_by<T>(
    kind: &str,
    scope: &TenantScope,
    page: &PageRequest,
    mut others: Vec<T>,
    own: impl Future<Output = Result<Page<T>, Error>>,
) -> Result<Page<T>, Error> {
    let list = List::Records(kind, OTHERS);
    let others_from = position(list, scope, page.token.as_deref());
    let (mut rows, skipped) = match others_from {
        Ok(Some(from)) => (Vec::new(), usize::try_from(from.at).unwrap_or(usize::MAX)),
        // The first page, or a token of the store's.
        Ok(None) | Err(_) => {
            let found = own.await?;
            if found.next.is_some() {
                return Ok(found);
            }
            (found.rows, 0)
        }
    };
    let room = usize::try_from(page.rows_max).unwrap_or(usize::MAX);
    let room = room.saturating_sub(rows.len());
    let left = others.split_off(skipped.min(others.len()));
    let is_more = left.len() > room;
    rows.extend(left.into_iter().take(room));
    let at = i64::try_from(skipped.saturating_add(room)).unwrap_or(i64::MAX);
    let next = is_more.then(|| token(list, scope, &Position::of_sequence(at)));
    Ok(Page { rows, next })
}

/// What stands in a token for rows that are not in the store. No id begins so.
const OTHERS: &str = "/others";

/// Reads a token; [`StoreError::BadToken`] unless [`token`] wrote it for this very list.
pub fn position(
    list: List<'_>,
    scope: &TenantScope,
    token: Option<&str>,
) -> Result<Option<Position>, StoreError> {
    let Some(token) = token else {
        return Ok(None);
    };
    read(list, scope, token)
        .map(Some)
        .ok_or(StoreError::BadToken)
}

fn read(list: List<'_>, scope: &TenantScope, token: &str) -> Option<Position> {
    if token.len() > TOKEN_BYTES_MAX || !token.len().is_multiple_of(2) {
        return None;
    }
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if !token.bytes().all(lower) {
        return None;
    }
    let bytes: Vec<u8> = (0..token.len() / 2)
        .map(|index| u8::from_str_radix(token.get(index * 2..index * 2 + 2)?, 16).ok())
        .collect::<Option<_>>()?;
    let body_bytes = bytes.len().checked_sub(SUM_BYTES)?;
    let (body, found) = bytes.split_at_checked(body_bytes)?;
    if u64::from_be_bytes(found.try_into().ok()?) != sum(list, scope, body) {
        return None;
    }
    let (at, id) = body.split_at_checked(8)?;
    Some(Position {
        at: i64::from_be_bytes(at.try_into().ok()?),
        id: String::from_utf8(id.to_vec()).ok()?,
    })
}

/// FNV-1a, 64 bits, over the list's identity and the position.
fn sum(list: List<'_>, scope: &TenantScope, body: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |part: &[u8]| {
        let len = (part.len() as u64).to_be_bytes();
        for byte in len.iter().chain(part) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    add(scope.tenant().as_str().as_bytes());
    match list {
        List::Messages(filter) => {
            add(b"messages");
            let conversation = filter.conversation.as_ref();
            add(conversation.map_or("", |id| id.as_str()).as_bytes());
            let agent = filter.agent.as_ref();
            add(agent.map_or("", |name| name.as_str()).as_bytes());
            add(filter.trace_id.as_ref().map_or(&[], |id| id.as_slice()));
        }
        List::Conversations => add(b"conversations"),
        List::DeadLetters => add(b"dead letters"),
        List::Records(kind, prefix) => {
            add(b"records");
            add(kind.as_bytes());
            add(prefix.as_bytes());
        }
        List::Log(log, filter) => {
            add(b"log");
            add(log.kind.as_bytes());
            add(log.key.as_bytes());
            add(filter.as_bytes());
        }
    }
    add(body);
    hash
}

/// The text that orders dead letters of one time.
pub fn dead_letter_order(message: MessageId, receiver: &str) -> String {
    format!("{message}:{receiver}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use caxton_core::TenantId;

    fn scope(tenant: &str) -> TenantScope {
        TenantScope::system(TenantId::parse(tenant).unwrap(), "test")
    }

    #[test]
    fn a_token_is_of_one_list() {
        let filter = MessageFilter {
            trace_id: Some([7; 16]),
            ..MessageFilter::default()
        };
        let at = Position::of_time(Timestamp::from_us(-5), "c ä");
        let lists = [
            (List::Conversations, "a"),
            (List::Conversations, "b"),
            (List::DeadLetters, "a"),
            (List::Messages(&filter), "a"),
            (List::Messages(&MessageFilter::default()), "a"),
        ];
        for (i, (written_for, tenant)) in lists.into_iter().enumerate() {
            let text = token(written_for, &scope(tenant), &at);
            for (j, (read_as, reader)) in lists.into_iter().enumerate() {
                let read = position(read_as, &scope(reader), Some(&text));
                let expected = if i == j {
                    Ok(Some(at.clone()))
                } else {
                    Err(StoreError::BadToken)
                };
                assert_eq!(read, expected, "{written_for:?} read as {read_as:?}");
            }
        }
    }

    #[test]
    fn forged_tokens_are_refused() {
        let good = token(List::Conversations, &scope("a"), &Position::of_sequence(9));
        let long = "a".repeat(10_000);
        let upper = good.to_uppercase();
        for bad in ["", "x", "0", "é0", "00", &good[2..], &long, &upper] {
            let read = position(List::Conversations, &scope("a"), Some(bad));
            assert_eq!(read, Err(StoreError::BadToken), "{bad}");
        }
        assert_eq!(position(List::Conversations, &scope("a"), None), Ok(None));
    }
}
