//! Making instances: a version's code, loaded at the first need, and a live instance of it with the
//! host that belongs to its mailbox.

use super::Shared;
use super::entry::{AgentEntry, Deployed, Living};
use crate::host::Host;
use crate::opctx::TenantScope;
use crate::port::behavior::{Artifact, Behavior, Fault, FaultKind, Program};
use caxton_core::MailboxId;
use caxton_core::error::{Class, Code, Error};
use caxton_core::manifest::Durability;
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::OwnedSemaphorePermit;

/// A live instance.
pub(super) struct Live {
    pub(super) behavior: Box<dyn Behavior>,
    /// Absent while a handler has it.
    pub(super) host: Option<Host>,
    /// The version it was made of, by the entry's count.
    pub(super) generation: u64,
    pub(super) durable: bool,
    _living: Living,
    /// Its place among the live instances.
    _permit: OwnedSemaphorePermit,
}

impl Shared {
    /// A new instance of the present version, `init` done.
    pub(super) async fn activate(
        &self,
        entry: &Arc<AgentEntry>,
        mailbox: &MailboxId,
        generation: u64,
    ) -> Result<Live, Fault> {
        let permit = self.instance_permit().await?;
        let begun = self.services.clock.now();
        let deployed = entry.deployed();
        let program = self.program(entry, &deployed).await?;
        let mut behavior = program.instantiate().await?;
        let services = Arc::clone(&self.services);
        let host = Host::new(services, mailbox.clone(), Arc::clone(&deployed.manifest));
        let init = AssertUnwindSafe(behavior.init(host)).catch_unwind();
        let Ok((host, result)) = init.await else {
            return Err(Fault::new(FaultKind::Init, "init panicked"));
        };
        result?;
        self.metrics.activations.inc();
        entry.stats.activations.fetch_add(1, Ordering::Relaxed);
        let took = self.services.clock.now().since(begun);
        self.metrics.activation_seconds.observe(took.as_secs_f64());
        let durable = deployed.manifest.delivery.durability == Durability::Durable;
        Ok(Live {
            behavior,
            host: Some(host),
            generation,
            durable,
            _living: entry.one_more(),
            _permit: permit,
        })
    }

    /// The version's compiled code; loaded from the store and compiled (or found in the code cache)
    /// at the first need.
    pub(crate) async fn program(
        &self,
        entry: &AgentEntry,
        deployed: &Deployed,
    ) -> Result<Arc<dyn Program>, Fault> {
        deployed
            .program
            .get_or_try_init(|| self.load(entry, deployed))
            .await
            .cloned()
    }

    async fn load(
        &self,
        entry: &AgentEntry,
        deployed: &Deployed,
    ) -> Result<Arc<dyn Program>, Fault> {
        let digest = deployed
            .digest
            .ok_or_else(|| Fault::new(FaultKind::Internal, "no code"))?;
        let scope = TenantScope::system(entry.id().tenant.clone(), "load an agent's code");
        let found = self.services.store.artifact(&scope, digest).await;
        let component = found
            .map_err(|error| load_fault(&error.into()))?
            .ok_or_else(|| {
                let code = Code::ComponentMissing;
                Fault::new(
                    FaultKind::Init,
                    format!("{code}: component {digest} is not in the store"),
                )
            })?;
        let artifact = Artifact {
            agent: entry.id().clone(),
            manifest: Arc::clone(&deployed.manifest),
            component,
            digest,
        };
        self.runtime(deployed.manifest.behavior)
            .prepare(artifact)
            .await
            .map_err(|error| load_fault(&error))
    }
}

/// A store or compiler that is busy or failing is the server's trouble; the rest is the agent's.
fn load_fault(error: &Error) -> Fault {
    let kind = match error.code.class() {
        Class::Unavailable | Class::Limited => FaultKind::Internal,
        _ => FaultKind::Init,
    };
    Fault::new(kind, error.to_string())
}
