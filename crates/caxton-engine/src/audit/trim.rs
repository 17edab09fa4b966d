//! Letting go of a chain's oldest entries, a signed root in their place.

use super::{Audit, LOG, Root};
use crate::documents;
use crate::port::store::{LogRange, Op};
use caxton_core::audit::{Entry, Head};
use caxton_core::error::Error;
use caxton_core::{TenantId, Timestamp};

/// Entries let go of in one commit: what waits meanwhile waits for no more than these.
const TRIM_ENTRIES_MAX: u64 = 10_000;

impl Audit {
    /// Lets go of entries older than `before`, whatever they are; a signed root stays, and what
    /// follows it can still be checked. Answers how many went.
    pub(crate) async fn trim(&self, tenant: &TenantId, before: Timestamp) -> Result<u64, Error> {
        let _one = self.trimming.lock().await;
        let Some((first, last)) = self.older_than(tenant, before).await? else {
            return Ok(0);
        };
        let mut next = first;
        while next <= last.sequence {
            let step = (next + TRIM_ENTRIES_MAX - 1).min(last.sequence);
            let root = match step == last.sequence {
                true => last,
                false => match self.entry(tenant, step).await? {
                    Some(entry) => entry.head(),
                    None => last,
                },
            };
            self.begin_after(tenant, root).await?;
            next = root.sequence + 1;
        }
        Ok(last.sequence + 1 - first)
    }

    /// Makes an entry the root: it and those before it go.
    async fn begin_after(&self, tenant: &TenantId, last: Head) -> Result<(), Error> {
        let root = Root {
            signed: self.sign(tenant, last),
        };
        let ops = vec![
            documents::put("", &root)?,
            Op::LogTrim {
                log: LOG,
                before: last.sequence + 1,
            },
        ];
        self.documents.commit(&Self::scope(tenant), ops).await
    }

    pub(super) async fn entry(
        &self,
        tenant: &TenantId,
        sequence: u64,
    ) -> Result<Option<Entry>, Error> {
        let one = LogRange {
            from: sequence,
            before: sequence.saturating_add(1),
            newest_first: false,
        };
        Ok(self.read(tenant, one, 1).await?.into_iter().next())
    }

    /// The first entry there is.
    pub(super) async fn first(&self, tenant: &TenantId) -> Result<Option<Entry>, Error> {
        Ok(self
            .read(tenant, LogRange::ALL, 1)
            .await?
            .into_iter()
            .next())
    }

    /// The first entry's sequence, and the last entry before a time.
    pub(super) async fn older_than(
        &self,
        tenant: &TenantId,
        before: Timestamp,
    ) -> Result<Option<(u64, Head)>, Error> {
        let Some(first) = self.first(tenant).await? else {
            return Ok(None);
        };
        if first.event.time >= before {
            return Ok(None);
        }
        let newest = self.read(tenant, LogRange::NEWEST, 1).await?;
        let newest = newest.first().map_or(first.sequence, |it| it.sequence);
        // Times grow with sequences: halve until the last one before is found.
        let (mut low, mut high) = (first.clone(), newest + 1);
        while high - low.sequence > 1 {
            let middle = low.sequence + (high - low.sequence) / 2;
            match self.entry(tenant, middle).await? {
                Some(entry) if entry.event.time < before => low = entry,
                _ => high = middle,
            }
        }
        Ok(Some((first.sequence, low.head())))
    }
}
