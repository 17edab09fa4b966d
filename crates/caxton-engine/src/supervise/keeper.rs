//! The keeper: sends idle instances home and forgets old history, at intervals.

use super::timers::fire_timers;
use crate::opctx::TenantScope;
use crate::port::{Store, StoreError};
use crate::router::Shared;
use caxton_core::{Error, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often history is looked through.
const HISTORY_INTERVAL: Duration = Duration::from_secs(60);
/// Messages, or conversations, forgotten in one commit.
const FORGET_ROWS: u32 = 1000;
/// How long the ledger of model calls is kept, in microseconds: a year and a month, so that this
/// month can be held against the same of last year.
const LEDGER_KEPT_US: i64 = 400 * 24 * 3600 * 1_000_000;

/// Starts everything that runs beside the mailboxes.
pub(crate) fn keep(shared: &Arc<Shared>) {
    let of = |shared: &Arc<Shared>| Arc::clone(shared);
    let (timers, idle, history) = (of(shared), of(shared), of(shared));
    shared.stand("timers", move || fire_timers(of(&timers)));
    shared.stand("sweep", move || sweep(of(&idle)));
    shared.stand("history", move || forget_history(of(&history)));
}

async fn sweep(shared: Arc<Shared>) {
    let clock = Arc::clone(&shared.services.clock);
    loop {
        clock
            .sleep_until(clock.now().plus(shared.options.sweep_interval))
            .await;
        let live = shared.live();
        // Past three quarters of the limit nobody lingers.
        let crowded = live.len() * 4 > shared.options.mailboxes_live_max * 3;
        let sweep = shared.sweeps.fetch_add(1, Ordering::Relaxed) + 1;
        let interval_us = shared.options.sweep_interval.as_micros().max(1);
        let linger =
            u64::try_from(shared.options.idle_linger.as_micros() / interval_us).unwrap_or(u64::MAX);
        let since = if crowded {
            sweep
        } else {
            sweep.saturating_sub(linger.max(1))
        };
        for (entry, mailbox) in live {
            if !entry.deployed_ref().manifest.instance.resident {
                mailbox.retire_if_idle(since);
            }
        }
    }
}

async fn forget_history(shared: Arc<Shared>) {
    let clock = Arc::clone(&shared.services.clock);
    loop {
        clock.sleep_until(clock.now().plus(HISTORY_INTERVAL)).await;
        let keep_us = i64::try_from(shared.options.history.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp::from_us(clock.now().as_us().saturating_sub(keep_us));
        let tenants = match shared.services.store.tenants().await {
            Ok(tenants) => tenants,
            Err(error) => {
                tracing::warn!(%error, "history could not be read");
                continue;
            }
        };
        for tenant in tenants {
            let scope = TenantScope::system(tenant, "forget old history");
            if let Err(error) = forget_before(&*shared.services.store, &scope, before).await {
                tracing::warn!(tenant = %scope.tenant(), %error, "history could not be forgotten");
            }
            let books = clock.now().as_us().saturating_sub(LEDGER_KEPT_US);
            let books = Timestamp::from_us(books);
            if let Err(error) = forget_turns(&shared, &scope, before, books).await {
                tracing::warn!(tenant = %scope.tenant(), %error, "turns could not be forgotten");
            }
        }
    }
}

/// Forgets one tenant's turns, and entries of its books: model calls, tool calls, approvals.
async fn forget_turns(
    shared: &Shared,
    scope: &TenantScope,
    before: Timestamp,
    books: Timestamp,
) -> Result<(), Error> {
    let services = &shared.services;
    while services.turns.forget_before(scope, before).await? {
        tokio::task::yield_now().await;
    }
    while services.models.ledger.forget_before(scope, books).await? {
        tokio::task::yield_now().await;
    }
    while services.tools.log.forget_before(scope, books).await? {
        tokio::task::yield_now().await;
    }
    while services.tools.approvals.forget_before(scope, books).await? {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Forgets one tenant's history: the messages, then the conversations that have none left.
async fn forget_before(
    store: &dyn Store,
    scope: &TenantScope,
    before: Timestamp,
) -> Result<(), StoreError> {
    while store.forget_messages(scope, before, FORGET_ROWS).await? == FORGET_ROWS {
        tokio::task::yield_now().await;
    }
    while store
        .forget_conversations(scope, before, FORGET_ROWS)
        .await?
        == FORGET_ROWS
    {
        tokio::task::yield_now().await;
    }
    Ok(())
}
