//! Jobs that are over are kept for a time, and a number and size of them a tenant.

use super::Jobs;
use super::record::{JobRecord, older_than};
use crate::port::store::PAGE_ROWS_MAX;
use caxton_core::error::Error;
use caxton_core::{TenantId, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Jobs forgotten in one commit.
const FORGET_ROWS: usize = 100;

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    jobs: u64,
    bytes: u64,
}

/// How many jobs each tenant has, and the size of their answers: of those that were counted since the
/// start.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<HashMap<TenantId, Count>>);

impl Kept {
    pub(super) fn more(&self, tenant: &TenantId, jobs: u64, bytes: u64) {
        if let Some(count) = self.0.lock().get_mut(tenant) {
            count.jobs += jobs;
            count.bytes += bytes;
        }
    }

    pub(super) fn less(&self, tenant: &TenantId, jobs: u64, bytes: u64) {
        if let Some(count) = self.0.lock().get_mut(tenant) {
            count.jobs = count.jobs.saturating_sub(jobs);
            count.bytes = count.bytes.saturating_sub(bytes);
        }
    }

    pub(super) fn forget(&self, tenant: &TenantId) {
        self.0.lock().remove(tenant);
    }
}

impl Jobs {
    /// Looks for old jobs, again and again.
    pub(crate) async fn sweep_on(self: Arc<Self>) {
        let clock = Arc::clone(&self.shared.services.clock);
        loop {
            let next = clock.now().plus(self.options.sweep_every);
            clock.sleep_until(next).await;
            let tenants = match self.shared.services.store.tenants().await {
                Ok(tenants) => tenants,
                Err(error) => {
                    tracing::warn!(%error, "old jobs could not be looked for");
                    continue;
                }
            };
            for tenant in tenants {
                if let Err(error) = self.sweep(&tenant).await {
                    tracing::warn!(%tenant, %error, "old jobs could not be forgotten");
                }
            }
        }
    }

    async fn sweep(&self, tenant: &TenantId) -> Result<(), Error> {
        let now = self.shared.services.clock.now();
        let kept_us = i64::try_from(self.options.kept_for.as_micros()).unwrap_or(i64::MAX);
        let oldest = Timestamp::from_us(now.as_us().saturating_sub(kept_us));
        self.forget_older(tenant, oldest).await?;
        let count = self.count(tenant).await?;
        let limit = &self.options;
        if count.jobs > limit.kept_max || count.bytes > limit.kept_bytes_max {
            self.forget_surplus(tenant).await?;
        }
        Ok(())
    }

    async fn forget_older(&self, tenant: &TenantId, oldest: Timestamp) -> Result<(), Error> {
        let mut after = older_than(oldest);
        loop {
            let (rows, last) = self.rows_after(tenant, &after).await?;
            let gone: Vec<JobRecord> = rows.into_iter().filter(is_over).collect();
            for some in gone.chunks(FORGET_ROWS) {
                self.forget(tenant, some).await?;
            }
            match last {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }

    /// The tenant's jobs and answers, counted once.
    async fn count(&self, tenant: &TenantId) -> Result<Count, Error> {
        if let Some(count) = self.kept.0.lock().get(tenant) {
            return Ok(*count);
        }
        let (mut count, mut after) = (Count::default(), String::new());
        loop {
            let (rows, last) = self.rows_after(tenant, &after).await?;
            count.jobs += rows.len() as u64;
            count.bytes += rows.iter().map(|it| it.reply_bytes).sum::<u64>();
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
        // One that came or went meanwhile makes it wrong by one, which the limit can bear.
        self.kept.0.lock().insert(tenant.clone(), count);
        Ok(count)
    }

    /// Forgets all that are over past the newest which fit.
    async fn forget_surplus(&self, tenant: &TenantId) -> Result<(), Error> {
        let (mut kept, mut after) = (Count::default(), String::new());
        loop {
            let (rows, last) = self.rows_after(tenant, &after).await?;
            let mut gone = Vec::new();
            for row in rows {
                kept.jobs += 1;
                kept.bytes += row.reply_bytes;
                let fits =
                    kept.jobs <= self.options.kept_max && kept.bytes <= self.options.kept_bytes_max;
                if !fits && is_over(&row) {
                    kept.jobs -= 1;
                    kept.bytes -= row.reply_bytes;
                    gone.push(row);
                }
            }
            for some in gone.chunks(FORGET_ROWS) {
                self.forget(tenant, some).await?;
            }
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
        self.kept.0.lock().insert(tenant.clone(), kept);
        Ok(())
    }

    /// Some records after an id, and where to go on.
    async fn rows_after(
        &self,
        tenant: &TenantId,
        after: &str,
    ) -> Result<(Vec<JobRecord>, Option<String>), Error> {
        let scope = Self::scope(tenant);
        let found = self
            .documents
            .after::<JobRecord>(&scope, after, PAGE_ROWS_MAX);
        let found = found.await?;
        let full = found.len() >= PAGE_ROWS_MAX as usize;
        let last = found.last().map(|it| super::record_id(it.id));
        Ok((found, last.filter(|_| full)))
    }
}

fn is_over(job: &JobRecord) -> bool {
    job.state.is_final()
}
