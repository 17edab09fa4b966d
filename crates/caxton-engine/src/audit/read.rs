//! Reading a chain: a page of what a filter lets through, and the whole as an export that can be
//! checked without this server.

use super::{Audit, Root};
use crate::port::page::{self, List, Position};
use crate::port::store::{LogRange, Page, PageRequest};
use caxton_core::audit::{Closing, Entry, Head, Opening, Outcome};
use caxton_core::error::{Code, Error};
use caxton_core::{TenantId, Timestamp};
use futures::stream::{self, BoxStream, StreamExt as _};
use std::collections::VecDeque;
use std::sync::Arc;

/// Entries read of the store at one time.
const CHUNK_ROWS: u32 = 500;
/// Entries that are looked at for one page; past it the page ends, and its token goes on from there.
const SCAN_ROWS_MAX: u32 = 10_000;

/// Which entries. All given conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// The actor as it stands in the chain.
    pub actor: String,
    /// What the action begins with.
    pub action: String,
    /// What the target has in it.
    pub target: String,
    pub outcome: Option<Outcome>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    fn matches(&self, entry: &Entry) -> bool {
        let event = &entry.event;
        (self.actor.is_empty() || event.actor == self.actor)
            && event.action.starts_with(&self.action)
            && event.target.contains(&self.target)
            && self.outcome.is_none_or(|it| it == event.outcome)
            && self.from.is_none_or(|at| event.time >= at)
            && self.until.is_none_or(|at| event.time < at)
    }
}

/// An entry as people read it.
#[derive(Clone, Debug)]
pub struct AuditRow {
    pub entry: Entry,
    /// Who the actor's pseudonym is, where it is one and was not erased.
    pub person: Option<String>,
}

/// The lines of an export, without their ends.
pub type AuditExport = BoxStream<'static, Result<String, Error>>;

impl Audit {
    /// Newest first.
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        filter: &AuditFilter,
        asked: &PageRequest,
    ) -> Result<Page<AuditRow>, Error> {
        let (scope, key) = (Self::scope(tenant), format!("{filter:?}"));
        let list = List::Log(&super::LOG, &key);
        let after = page::position(list, &scope, asked.token.as_deref())?;
        let mut before = after.map_or(u64::MAX, |it| u64::try_from(it.at).unwrap_or(0));
        let (mut rows, mut looked_at) = (Vec::new(), 0);
        let wanted = asked.rows_max as usize;
        loop {
            let range = LogRange {
                from: 0,
                before,
                newest_first: true,
            };
            let found = self.read(tenant, range, CHUNK_ROWS).await?;
            let done = found.len() < CHUNK_ROWS as usize;
            for entry in found {
                before = entry.sequence;
                looked_at += 1;
                let past = filter.from.is_some_and(|at| entry.event.time < at);
                if past {
                    return Ok(Page { rows, next: None });
                }
                if filter.matches(&entry) {
                    let person = self.person(tenant, &entry.event.actor).await?;
                    rows.push(AuditRow { entry, person });
                }
                if rows.len() >= wanted || looked_at >= SCAN_ROWS_MAX {
                    let at = i64::try_from(before).unwrap_or(i64::MAX);
                    let position = Position::of_sequence(at);
                    let next = (before > 1).then(|| page::token(list, &scope, &position));
                    return Ok(Page { rows, next });
                }
            }
            if done {
                return Ok(Page { rows, next: None });
            }
        }
    }

    /// The chain as it is now: an opening, its entries, oldest first, and a signed footer.
    pub(crate) async fn export(self: &Arc<Self>, tenant: &TenantId) -> Result<AuditExport, Error> {
        let root: Option<Root> = self.documents.get(&Self::scope(tenant), "").await?;
        let root = root.map(|root| root.signed);
        let begin = root.as_ref().map_or(Head::EMPTY, |signed| signed.head());
        let head = self.head(tenant).await?;
        let opening = Opening {
            caxton_audit: 1,
            tenant: match tenant.is_platform() {
                true => String::new(),
                false => tenant.to_string(),
            },
            root,
        };
        let closing = Closing {
            entries: head.sequence.saturating_sub(begin.sequence),
            head: self.sign(tenant, head),
        };
        let entries = Entries {
            audit: Arc::clone(self),
            tenant: tenant.clone(),
            next: begin.sequence + 1,
            before: head.sequence + 1,
            read: VecDeque::new(),
        };
        let (opening, closing) = (line(&opening)?, line(&closing)?);
        let entries = stream::unfold(Some(entries), |entries| async {
            let mut entries = entries?;
            match entries.next_line().await {
                Ok(Some(line)) => Some((Ok(line), Some(entries))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        let first = stream::once(std::future::ready(Ok(opening)));
        let last = stream::once(std::future::ready(Ok(closing)));
        Ok(first.chain(entries).chain(last).boxed())
    }
}

/// The entries of an export, read in chunks.
struct Entries {
    audit: Arc<Audit>,
    tenant: TenantId,
    next: u64,
    before: u64,
    read: VecDeque<Entry>,
}

impl Entries {
    async fn next_line(&mut self) -> Result<Option<String>, Error> {
        if self.read.is_empty() && self.next < self.before {
            let range = LogRange {
                from: self.next,
                before: self.before,
                newest_first: false,
            };
            self.read = self
                .audit
                .read(&self.tenant, range, CHUNK_ROWS)
                .await?
                .into();
        }
        let Some(entry) = self.read.pop_front() else {
            return match self.next < self.before {
                true => Err(self.trimmed()),
                false => Ok(None),
            };
        };
        if entry.sequence != self.next {
            return Err(self.trimmed());
        }
        self.next = entry.sequence + 1;
        line(&entry).map(Some)
    }
}

impl Entries {
    /// Entries that the footer counts went while they were read: the file would not verify.
    fn trimmed(&self) -> Error {
        let detail = format!(
            "entries from {} on were let go of while they were exported",
            self.next
        );
        Error::new(Code::AuditExportOvertaken, detail)
    }
}

fn line(of: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(of).map_err(|error| Error::new(Code::Internal, error.to_string()))
}
