//! Agents: deploy, list, show, start, stop, drain, remove, logs.

use super::{App, Package};
use crate::breakers::{BreakerView, Thing};
use crate::host::LogLine;
use crate::opctx::OpCtx;
use crate::router::AgentEntry;
use caxton_core::error::Error;
use caxton_core::grant::Permission;
use caxton_core::lifecycle::Phase;
use caxton_core::{AgentId, AgentName, Digest, Manifest, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::broadcast;

/// The lines to come; one that falls behind misses some.
pub type LogFollow = broadcast::Receiver<Arc<LogLine>>;

/// An agent as it stands now.
#[derive(Clone, Debug)]
pub struct AgentView {
    pub id: AgentId,
    pub manifest: Arc<Manifest>,
    /// SHA-256 of its component.
    pub digest: Option<Digest>,
    pub phase: Phase,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Messages handled, failed tries, messages refused and instances made, since the server's start.
    pub handled: u64,
    pub failed: u64,
    pub refused: u64,
    pub activations: u64,
    /// Of these, the ones made in place of an instance that was lost to a fault.
    pub restarts: u64,
    /// Live instances now.
    pub instances: u32,
    /// Fuel its handlers used since the server's start.
    pub fuel_used: u64,
    /// The most memory that one of its instances held since then, in bytes.
    pub memory_bytes_most: u64,
    /// Messages that wait.
    pub queued: u64,
    /// The last failed try: when, and what.
    pub last_fault: Option<(Timestamp, String)>,
}

impl From<&Arc<AgentEntry>> for AgentView {
    fn from(entry: &Arc<AgentEntry>) -> Self {
        let deployed = entry.deployed();
        let fault = entry.last_fault();
        let counted = entry.counted();
        Self {
            id: entry.id().clone(),
            manifest: Arc::clone(&deployed.manifest),
            digest: deployed.digest,
            phase: entry.phase(),
            created: deployed.created,
            updated: deployed.updated,
            handled: counted.handled(),
            failed: counted.failed.load(Ordering::Relaxed),
            refused: counted.refused.load(Ordering::Relaxed),
            activations: counted.activations.load(Ordering::Relaxed),
            restarts: counted.restarts.load(Ordering::Relaxed),
            instances: entry.instances(),
            fuel_used: counted.fuel(),
            memory_bytes_most: counted.memory(),
            queued: entry.queued() as u64,
            last_fault: fault.map(|(at, fault)| {
                (
                    at,
                    format!(
                        "{} {}: {}",
                        fault.code(),
                        fault.code().title(),
                        fault.detail
                    ),
                )
            }),
        }
    }
}

impl App {
    /// Deploys a new agent; with `start` it runs when this returns.
    ///
    /// Errors: `CX-2001`-`CX-2010` for a manifest or component that is refused, `CX-2021` where the
    /// name is taken, `CX-2024` past the limit of agents, `CX-500x` from the store.
    pub async fn agent_deploy(
        &self,
        ctx: &OpCtx,
        package: Package,
        start: bool,
    ) -> Result<AgentView, Error> {
        let scope = ctx.authorize(Permission::AgentWrite)?;
        self.refuse_when_draining()?;
        let shared = Arc::clone(&self.shared);
        let target = format!(
            "agents/{} {}",
            package.manifest.name, package.manifest.version
        );
        let work = self.whole(async move { shared.deploy(&scope, package, start).await });
        let entry = self
            .act(ctx, &ctx.tenant, "agent.deploy", target, work)
            .await?;
        // It may have been suspended while that was compiled, and the platform may deploy into it anyhow.
        if self.directory.ensure_active(&ctx.tenant).await.is_err() {
            self.shared.rest_tenant(&ctx.tenant).await;
        }
        Ok(AgentView::from(&entry))
    }

    /// Deploys a new version of an agent, without a pause for the messages on their way.
    pub async fn agent_update(
        &self,
        ctx: &OpCtx,
        name: &AgentName,
        package: Package,
    ) -> Result<AgentView, Error> {
        let scope = ctx.authorize(Permission::AgentWrite)?;
        self.refuse_when_draining()?;
        let entry = self.entry(&AgentId::new(scope.tenant().clone(), name.clone()))?;
        let (shared, own) = (Arc::clone(&self.shared), Arc::clone(&entry));
        let target = format!("agents/{name} {}", package.manifest.version);
        let work = self.whole(async move { shared.update(&scope, &own, package).await });
        self.act(ctx, &ctx.tenant, "agent.update", target, work)
            .await?;
        self.forget_ills_of_agent(&entry);
        Ok(AgentView::from(&entry))
    }

    /// It is gone, or another now.
    fn forget_ills_of_agent(&self, entry: &AgentEntry) {
        let thing = Thing::of_agent(entry.id());
        self.shared.services.breakers.forget_thing(&thing);
    }

    /// The tenant's agents after `after` by name, `rows_max` at most.
    pub fn agent_list(
        &self,
        ctx: &OpCtx,
        after: Option<&AgentName>,
        rows_max: usize,
    ) -> Result<Vec<AgentView>, Error> {
        let scope = ctx.authorize(Permission::AgentRead)?;
        let agents = self.shared.agents_of(scope.tenant());
        let rest = agents
            .iter()
            .filter(|entry| after.is_none_or(|after| entry.id().name > *after));
        Ok(rest.take(rows_max).map(AgentView::from).collect())
    }

    pub fn agent_show(&self, ctx: &OpCtx, name: &AgentName) -> Result<AgentView, Error> {
        Ok(AgentView::from(&self.agent_entry(
            ctx,
            name,
            Permission::AgentRead,
        )?))
    }

    /// How the circuit breaker stands that calls from outside meet.
    pub fn agent_breaker(&self, ctx: &OpCtx, name: &AgentName) -> Result<BreakerView, Error> {
        let entry = self.agent_entry(ctx, name, Permission::AgentRead)?;
        let thing = Thing::of_agent(entry.id());
        Ok(self.shared.services.breakers.view(&thing))
    }

    /// Loaded or Stopped -> Running.
    pub async fn agent_start(&self, ctx: &OpCtx, name: &AgentName) -> Result<AgentView, Error> {
        let entry = self.agent_entry(ctx, name, Permission::AgentOperate)?;
        let (shared, own) = (Arc::clone(&self.shared), Arc::clone(&entry));
        let work = self.whole(async move { shared.start(&own).await });
        let target = format!("agents/{name}");
        self.act(ctx, &ctx.tenant, "agent.start", target, work)
            .await?;
        Ok(AgentView::from(&entry))
    }

    /// Stops once the message being handled is; durable messages wait for the next start.
    pub async fn agent_stop(&self, ctx: &OpCtx, name: &AgentName) -> Result<AgentView, Error> {
        let entry = self.agent_entry(ctx, name, Permission::AgentOperate)?;
        let (shared, own) = (Arc::clone(&self.shared), Arc::clone(&entry));
        let work = self.whole(async move { shared.stop(&own).await });
        let target = format!("agents/{name}");
        self.act(ctx, &ctx.tenant, "agent.stop", target, work)
            .await?;
        Ok(AgentView::from(&entry))
    }

    /// Takes no new messages, handles those it has, then stops. Returns at once.
    pub async fn agent_drain(&self, ctx: &OpCtx, name: &AgentName) -> Result<AgentView, Error> {
        let entry = self.agent_entry(ctx, name, Permission::AgentOperate)?;
        let (shared, own) = (Arc::clone(&self.shared), Arc::clone(&entry));
        let work = self.whole(async move { shared.drain(&own).await });
        let target = format!("agents/{name}");
        self.act(ctx, &ctx.tenant, "agent.drain", target, work)
            .await?;
        Ok(AgentView::from(&entry))
    }

    /// Removes the agent with its state and timers; unhandled messages become dead letters.
    pub async fn agent_remove(&self, ctx: &OpCtx, name: &AgentName) -> Result<(), Error> {
        let entry = self.agent_entry(ctx, name, Permission::AgentWrite)?;
        let shared = Arc::clone(&self.shared);
        let own = Arc::clone(&entry);
        let work = self.whole(async move { shared.remove(&own).await });
        let target = format!("agents/{name}");
        self.act(ctx, &ctx.tenant, "agent.remove", target, work)
            .await?;
        self.forget_ills_of_agent(&entry);
        Ok(())
    }

    /// The newest lines of the agent's log, oldest first.
    pub fn agent_logs(
        &self,
        ctx: &OpCtx,
        name: &AgentName,
        lines_max: usize,
    ) -> Result<Vec<Arc<LogLine>>, Error> {
        let entry = self.agent_entry(ctx, name, Permission::LogRead)?;
        Ok(self.shared.services.logs.tail(entry.id(), lines_max))
    }

    /// The lines there are, and those to come.
    pub fn agent_logs_follow(
        &self,
        ctx: &OpCtx,
        name: &AgentName,
    ) -> Result<(Vec<Arc<LogLine>>, LogFollow), Error> {
        let entry = self.agent_entry(ctx, name, Permission::LogRead)?;
        Ok(self.shared.services.logs.follow(entry.id()))
    }

    fn agent_entry(
        &self,
        ctx: &OpCtx,
        name: &AgentName,
        permission: Permission,
    ) -> Result<Arc<AgentEntry>, Error> {
        let scope = ctx.authorize(permission)?;
        self.entry(&AgentId::new(scope.tenant().clone(), name.clone()))
    }
}
