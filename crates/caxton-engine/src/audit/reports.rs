//! Reports by themselves: what each finished period of each chain comes to, given to whoever keeps it.
//!
//! Periods are multiples of their length since 1970, UTC, so that a server that was started anew means
//! the same ones. What was written is asked of the keeper: none is written twice, and those that ended
//! while the server was down are written when it is back.

use super::Audit;
use crate::port::Answer;
use crate::port::store::LogRange;
use caxton_core::audit::{Entry, Head, Summary};
use caxton_core::error::Error;
use caxton_core::{TenantId, Timestamp};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The shortest period.
pub const REPORT_EVERY_MIN: Duration = Duration::from_secs(3600);
/// Finished periods that are looked back to, at least.
const PERIODS_BACK: i64 = 7;
/// How far back shorter periods are looked for.
const BACK: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long after a period's end its report is written: what was under way then stands in it.
const REPORT_AFTER: Duration = Duration::from_secs(60);
/// Entries read of the store at one time.
const CHUNK_ROWS: u32 = 500;
/// Entries that are looked at for one report; one that is cut short says so.
const ENTRIES_MAX: u64 = 5_000_000;
/// Chains looked at before others have their turn.
const PAGE_TENANTS: usize = 100;
/// How long others have it.
const PAGE_PAUSE: Duration = Duration::from_millis(50);

/// Where reports go.
#[derive(Clone, Debug)]
pub struct Reports {
    /// The length of a period, at least [`REPORT_EVERY_MIN`].
    pub every: Duration,
    pub keeper: Arc<dyn ReportKeeper>,
}

/// Which report: whose chain, and from when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportName {
    pub tenant: TenantId,
    pub from: Timestamp,
}

/// Keeps reports.
pub trait ReportKeeper: fmt::Debug + Send + Sync {
    /// Whether it has this one.
    fn has(&self, name: &ReportName) -> bool;
    /// Takes a report, wholly or not at all.
    fn keep<'a>(
        &'a self,
        name: &'a ReportName,
        report: &'a Summary,
    ) -> Answer<'a, Result<(), Error>>;
}

impl Audit {
    /// Writes reports, again and again.
    pub(crate) async fn report_on(self: Arc<Self>, reports: Reports) {
        let every = reports.every.max(REPORT_EVERY_MIN);
        let every_us = i64::try_from(every.as_micros()).unwrap_or(i64::MAX);
        loop {
            self.clock
                .sleep_until(self.clock.now().plus(REPORT_AFTER))
                .await;
            let after_us = i64::try_from(REPORT_AFTER.as_micros()).unwrap_or(0);
            let ended = (self.clock.now().as_us() - after_us).div_euclid(every_us) * every_us;
            self.report_all(&reports, ended, every_us).await;
            let next = Timestamp::from_us(ended.saturating_add(every_us));
            self.clock.sleep_until(next).await;
        }
    }

    async fn report_all(&self, reports: &Reports, ended: i64, every_us: i64) {
        let mut tenants = match self.store.tenants().await {
            Ok(tenants) => tenants,
            Err(error) => {
                tracing::warn!(%error, "no audit reports: the tenants cannot be read");
                return;
            }
        };
        tenants.push(TenantId::platform());
        let mut failed = 0_usize;
        for page in tenants.chunks(PAGE_TENANTS) {
            for tenant in page {
                if let Err(error) = self.report(reports, tenant, ended, every_us).await {
                    // The next period tries again. One of many tells what is wrong.
                    if failed == 0 {
                        tracing::warn!(%tenant, %error, "an audit report could not be written");
                    }
                    failed += 1;
                }
            }
            let now = self.clock.now();
            self.clock.sleep_until(now.plus(PAGE_PAUSE)).await;
        }
    }

    /// The reports of a chain that are missing. A chain with nothing new is hardly read.
    async fn report(
        &self,
        reports: &Reports,
        tenant: &TenantId,
        ended: i64,
        every_us: i64,
    ) -> Result<(), Error> {
        let newest = self.read(tenant, LogRange::NEWEST, 1).await?;
        let Some(newest) = newest.first().map(|it| it.event.time) else {
            return Ok(());
        };
        let back_us = i64::try_from(BACK.as_micros()).unwrap_or(0);
        for back in (1..=PERIODS_BACK.max(back_us / every_us)).rev() {
            let from = Timestamp::from_us(ended.saturating_sub(every_us.saturating_mul(back)));
            let until = Timestamp::from_us(from.as_us().saturating_add(every_us));
            let name = ReportName {
                tenant: tenant.clone(),
                from,
            };
            if newest < from || reports.keeper.has(&name) {
                continue;
            }
            let summary = self.summarize(tenant, from, until).await?;
            if summary.entries > 0 {
                reports.keeper.keep(&name, &summary).await?;
            }
        }
        Ok(())
    }

    /// What a period of a chain comes to.
    async fn summarize(
        &self,
        tenant: &TenantId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Summary, Error> {
        let whose = match tenant.is_platform() {
            true => "",
            false => tenant.as_str(),
        };
        let mut summary = Summary::new(whose, Some(from), Some(until));
        let before = self.older_than(tenant, from).await?;
        // Where the period's first entry is the chain's first, its word for what was before counts.
        let mut head = before.map(|(_, head)| head);
        let mut next = head.map_or(0, |it| it.sequence + 1);
        loop {
            let range = LogRange {
                from: next,
                before: u64::MAX,
                newest_first: false,
            };
            let found = self.read(tenant, range, CHUNK_ROWS).await?;
            let is_end = found.len() < CHUNK_ROWS as usize;
            for entry in found {
                if entry.event.time >= until {
                    return Ok(summary);
                }
                if summary.entries >= ENTRIES_MAX {
                    summary.cut_short = true;
                    return Ok(summary);
                }
                let follows = head.unwrap_or_else(|| before_it(&entry));
                if let Err(fault) = entry.follows(tenant, follows) {
                    summary.broken(fault);
                }
                (head, next) = (Some(entry.head()), entry.sequence + 1);
                summary.add(&entry);
            }
            if is_end {
                return Ok(summary);
            }
        }
    }
}

fn before_it(entry: &Entry) -> Head {
    Head {
        sequence: entry.sequence.saturating_sub(1),
        hash: entry.previous,
    }
}
