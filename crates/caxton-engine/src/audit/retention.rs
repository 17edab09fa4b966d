//! Retention: what is older than the operator wants it kept goes by itself, in every chain.
//!
//! Once an hour all tenants are looked at, some at a time. A chain whose first entry is known to be
//! young enough is not even read, so that idle tenants cost nothing.

use super::{Act, Audit};
use crate::port::store::LogRange;
use caxton_core::error::Error;
use caxton_core::{TenantId, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How often old entries are looked for.
const RETENTION_EVERY: Duration = Duration::from_secs(3600);
/// When they are first looked for: a server that is started every day must let go of them, too, and one
/// that has just started has other things to do.
const RETENTION_FIRST: Duration = Duration::from_secs(60);
/// Chains looked at before others have their turn.
const PAGE_TENANTS: usize = 100;
/// How long others have it.
const PAGE_PAUSE: Duration = Duration::from_millis(50);
/// Chains whose first entry's time is at hand; of further ones it is read each time.
pub(super) const CHAINS_KNOWN_MAX: usize = 16_384;
/// Entries that are looked through for one that is more than a note of retention itself.
const NOTES_MAX: u32 = 500;
/// Who does it, in the chain.
const TASK: &str = "retention";
/// What it does.
const ACTION: &str = "audit.trim";

impl Audit {
    /// Lets go of what is old, again and again.
    pub(crate) async fn retain_on(self: Arc<Self>, kept: Duration) {
        self.clock
            .sleep_until(self.clock.now().plus(RETENTION_FIRST))
            .await;
        loop {
            let next = self.clock.now().plus(RETENTION_EVERY);
            self.retain_all(kept).await;
            self.clock.sleep_until(next).await;
        }
    }

    async fn retain_all(&self, kept: Duration) {
        let mut tenants = match self.store.tenants().await {
            Ok(tenants) => tenants,
            Err(error) => {
                tracing::warn!(%error, "old audit entries could not be looked for");
                return;
            }
        };
        tenants.push(TenantId::platform());
        let (mut went, mut failed) = (0, 0_usize);
        for page in tenants.chunks(PAGE_TENANTS) {
            for tenant in page {
                let us = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
                let before = self.clock.now().as_us().saturating_sub(us);
                match self.retain(tenant, Timestamp::from_us(before)).await {
                    Ok(entries) => went += entries,
                    Err(error) => {
                        // The next hour tries again. One of many tells what is wrong.
                        if failed == 0 {
                            tracing::warn!(%tenant, %error, "old audit entries could not be let go");
                        }
                        failed += 1;
                    }
                }
            }
            let now = self.clock.now();
            self.clock.sleep_until(now.plus(PAGE_PAUSE)).await;
        }
        if went > 0 || failed > 0 {
            tracing::info!(entries = went, failed, "old audit entries were let go");
        }
    }

    /// Lets go of a chain's entries older than `before`, and writes that down first. Answers how many
    /// went.
    async fn retain(&self, tenant: &TenantId, before: Timestamp) -> Result<u64, Error> {
        if self.oldest.get(tenant).is_some_and(|at| at >= before) {
            return Ok(0);
        }
        let first = self.first(tenant).await?;
        // What comes to an empty chain is no older than now.
        let oldest = first.map_or(self.clock.now(), |it| it.event.time);
        if oldest >= before {
            self.oldest.insert(tenant.clone(), oldest);
            return Ok(0);
        }
        if self.tells_something(tenant, before).await? {
            let act = Act::permitted(ACTION, format!("before {before}"));
            self.note_system(tenant, TASK, act).await?;
        }
        self.trim(tenant, before).await
    }

    /// Whether among what is to go there is more than notes of earlier goings. Were these noted as
    /// well, there would be one to let go of for ever.
    async fn tells_something(&self, tenant: &TenantId, before: Timestamp) -> Result<bool, Error> {
        let own = format!("system:{TASK}");
        let found = self.read(tenant, LogRange::ALL, NOTES_MAX).await?;
        let all = found.len() >= NOTES_MAX as usize;
        let mut old = found.iter().take_while(|it| it.event.time < before);
        let other = old.any(|it| it.event.actor != own || it.event.action != ACTION);
        let all_old = all && found.last().is_some_and(|it| it.event.time < before);
        Ok(other || all_old)
    }
}
