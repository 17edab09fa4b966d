//! A whole tenant's agents at once: to rest while it is suspended, to wake, to be forgotten.

use crate::router::{AgentEntry, Shared};
use caxton_core::TenantId;
use std::sync::Arc;

impl Shared {
    /// The tenant's agents stop handling where they are, whatever phase they are in; what waits for
    /// them waits on. A handler that does not come to its end is cut off, and its message waits too.
    pub(crate) async fn rest_tenant(self: &Arc<Self>, tenant: &TenantId) {
        let entries = self.agents_of(tenant);
        for entry in &entries {
            entry.rest(true);
            self.let_workers_go(entry);
        }
        for entry in &entries {
            self.quieten(entry).await;
        }
        tracing::info!(%tenant, agents = entries.len(), "the tenant's agents rest");
    }

    /// The tenant's agents go on.
    pub(crate) fn wake_tenant(self: &Arc<Self>, tenant: &TenantId) {
        for entry in self.agents_of(tenant) {
            entry.rest(false);
            if entry.may_work() {
                self.claim_all(&entry);
            }
        }
        tracing::info!(%tenant, "the tenant's agents go on");
    }

    /// Forgets the tenant's agents, which rest already, and all that is in memory for them.
    pub(crate) async fn forget_tenant(self: &Arc<Self>, tenant: &TenantId) {
        for entry in self.agents_of(tenant) {
            let _changing = entry.changing.lock().await;
            self.quieten(&entry).await;
            for mailbox in entry.mailboxes() {
                drop(mailbox.empty(|_| true));
            }
            let id = entry.id();
            self.deregister(id);
            self.timers.forget(id);
            self.waiters.remove_calls(id, |_| true);
            self.services.logs.forget(id);
            self.services.guest_metrics.forget(id);
        }
        self.services.turns.forget_tenant(tenant);
        self.services.models.forget(tenant);
        self.services.breakers.forget(tenant);
        self.services.tools.forget(tenant);
        tracing::info!(%tenant, "the tenant's agents are gone");
    }

    async fn quieten(self: &Arc<Self>, entry: &Arc<AgentEntry>) {
        if !self.wait_quiet(entry).await {
            tracing::warn!(agent = %entry.id(), "a handler was cut off; its message waits");
            entry.cut();
            self.wait_quiet(entry).await;
        }
    }
}
