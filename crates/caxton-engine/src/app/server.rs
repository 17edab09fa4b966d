//! The server itself: status, readiness, verification, backups.

use super::App;
use crate::opctx::OpCtx;
use crate::port::store::{BackupInfo, StoreStatus};
use caxton_core::error::Error;
use caxton_core::grant::Permission;
use caxton_core::lifecycle::Phase;
use caxton_core::{TenantId, Timestamp};
use std::path::Path;
use std::sync::atomic::Ordering;

/// How the server is.
#[derive(Clone, Debug)]
pub struct ServerStatus {
    pub started: Timestamp,
    pub now: Timestamp,
    pub draining: bool,
    pub tenants: u64,
    /// Agents of all tenants, by phase.
    pub agents: Vec<(Phase, u64)>,
    /// Mailboxes with a live instance or about to have one.
    pub mailboxes_live: u64,
    pub timers: u64,
    /// Handlers and clients that wait for an answer.
    pub waiting: u64,
    pub messages_accepted: u64,
    pub messages_handled: u64,
    /// Messages given up on since the start.
    pub dead_letters: u64,
    pub store: StoreStatus,
}

impl App {
    pub async fn server_status(&self, ctx: &OpCtx) -> Result<ServerStatus, Error> {
        ctx.authorize(Permission::ServerRead)?;
        self.status().await
    }

    /// The same without a caller, for probes: it tells nothing of any tenant.
    pub async fn status(&self) -> Result<ServerStatus, Error> {
        let store = self.shared.services.store.status().await?;
        let tenants = self.directory.tenants_count().await?;
        let (entries, totals) = (self.shared.agents_all(), self.shared.totals());
        let count = |phase| {
            entries
                .iter()
                .filter(|entry| entry.phase() == phase)
                .count() as u64
        };
        Ok(ServerStatus {
            started: self.started,
            now: self.shared.services.clock.now(),
            draining: self.is_draining(),
            tenants,
            agents: Phase::ALL
                .into_iter()
                .map(|phase| (phase, count(phase)))
                .collect(),
            mailboxes_live: self.shared.live_count() as u64,
            timers: self.shared.timers.len() as u64,
            waiting: self.shared.waiters.len() as u64,
            messages_accepted: totals.accepted.load(Ordering::Relaxed),
            messages_handled: totals.handled(),
            dead_letters: self.shared.metrics.dead_letters.get(),
            store,
        })
    }

    /// How the store is, and nothing else: what a probe asks, however many agents there are.
    pub async fn store_status(&self) -> Result<StoreStatus, Error> {
        Ok(self.shared.services.store.status().await?)
    }

    /// Messages put into a mailbox, and messages handled, since the start.
    pub fn message_totals(&self) -> (u64, u64) {
        let totals = self.shared.totals();
        (totals.accepted.load(Ordering::Relaxed), totals.handled())
    }

    /// Copies the whole store into a new folder, while everything goes on.
    pub async fn backup_create(&self, ctx: &OpCtx, into: &Path) -> Result<BackupInfo, Error> {
        ctx.authorize(Permission::ServerWrite)?;
        let name = into.file_name().unwrap_or_default().to_string_lossy();
        let work = async { Ok(self.shared.services.store.backup(into).await?) };
        let target = format!("backups/{name}");
        let platform = TenantId::platform();
        self.act(ctx, &platform, "backup.create", target, work)
            .await
    }

    /// Checks the whole store.
    pub async fn store_verify(&self, ctx: &OpCtx) -> Result<(), Error> {
        ctx.authorize(Permission::ServerRead)?;
        Ok(self.shared.services.store.verify().await?)
    }
}
