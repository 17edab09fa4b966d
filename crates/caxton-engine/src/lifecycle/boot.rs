//! A server's start: agents come back as they were, with the messages, timers and calls that wait.
//! Code is loaded at the first need, so that ten thousand idle agents start at once.

use crate::directory::{Directory, TenantState};
use crate::mailbox::Item;
use crate::opctx::TenantScope;
use crate::port::store::AgentRecord;
use crate::router::{AgentEntry, Deployed, Shared};
use caxton_core::error::Error;
use caxton_core::lifecycle::{Phase, Step};
use caxton_core::{AgentId, TenantId};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Brings back everything the store has.
pub(crate) async fn boot(shared: &Arc<Shared>, directory: &Directory) -> Result<(), Error> {
    for tenant in shared.services.store.tenants().await? {
        match directory.standing(&tenant).await? {
            None => {}
            Some(TenantState::Active) => boot_tenant(shared, &tenant, false).await?,
            Some(TenantState::Suspended) => boot_tenant(shared, &tenant, true).await?,
            // Its removal was cut short: it ends now, before anything of it could work.
            Some(TenantState::Removing | TenantState::Removed) => {
                directory.finish_removing(&tenant).await?;
                tracing::info!(%tenant, "the tenant's removal was finished");
            }
        }
    }
    Ok(())
}

async fn boot_tenant(shared: &Arc<Shared>, tenant: &TenantId, rests: bool) -> Result<(), Error> {
    let scope = TenantScope::system(tenant.clone(), "bring a tenant back at start");
    let store = &shared.services.store;
    let mut entries = Vec::new();
    for record in store.agents(&scope).await? {
        let entry = restore(tenant, record)?;
        entry.rest(rests);
        shared.register(Arc::clone(&entry))?;
        entries.push(entry);
    }
    for (call, record) in store.calls_open(&scope).await? {
        let who = call.mailbox.agent.clone();
        shared
            .waiters
            .add(&who, record.request, Some(call), None, true);
    }
    for (id, count) in store.mailboxes(&scope, None).await? {
        let Some(entry) = shared.agent(&id.agent) else {
            tracing::error!(mailbox = %id, count, "messages for an agent that is not there");
            continue;
        };
        let mailbox = entry.mailbox(&id.key, u32::MAX)?;
        let pending = store.pending(&scope, &id, count).await?;
        let items = pending.into_iter().map(|pending| Item {
            message: pending.message,
            attempts: pending.attempts,
            durable: true,
            replay: true,
        });
        mailbox.put_back(items.collect::<Vec<_>>().into_iter());
    }
    for timer in store.timers(&scope).await? {
        shared.timers.set(timer);
    }
    for entry in &entries {
        shared.claim_all(entry);
        if entry.phase() == Phase::Draining {
            shared.finish_drained(entry);
        }
    }
    tracing::info!(%tenant, agents = entries.len(), "tenant is back");
    Ok(())
}

fn restore(tenant: &TenantId, record: AgentRecord) -> Result<Arc<AgentEntry>, Error> {
    let id = AgentId::new(tenant.clone(), record.agent);
    let deployed = Deployed {
        manifest: Arc::new(record.manifest),
        digest: record.digest,
        created: record.created,
        updated: record.updated,
        program: OnceCell::new(),
    };
    let entry = Arc::new(AgentEntry::new(id, deployed));
    let steps: &[Step] = match record.phase {
        Phase::Unloaded => &[],
        Phase::Loaded => &[Step::Load],
        Phase::Running => &[Step::Load, Step::Start],
        Phase::Draining => &[Step::Load, Step::Start, Step::Drain],
        Phase::Stopped => &[Step::Load, Step::Start, Step::Drain, Step::Finish],
    };
    for step in steps {
        entry.step(*step)?;
    }
    Ok(entry)
}
