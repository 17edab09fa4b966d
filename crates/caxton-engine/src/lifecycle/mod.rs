//! Deploying, starting, stopping and removing agents: `core::lifecycle` says which step there is,
//! this acts on it, and the store remembers where the agent stands.
//!
//! Every change holds the agent's `changing` lock, is committed first and takes effect after.

mod boot;
mod change;
mod tenant;

pub(crate) use boot::boot;

use crate::host::Host;
use crate::opctx::TenantScope;
use crate::port::behavior::{Artifact, Program};
use crate::port::store::{AgentRecord, Op};
use crate::router::{AgentEntry, Deployed, Shared};
use bytes::Bytes;
use caxton_core::error::{Code, Error};
use caxton_core::lifecycle::{Phase, Step};
use caxton_core::manifest::BehaviorKind;
use caxton_core::{AgentId, Digest, MailboxId, MailboxKey, Manifest, Timestamp};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio::sync::MutexGuard;

/// What a deployment brings.
#[derive(Clone, Debug)]
pub struct Package {
    pub manifest: Manifest,
    /// The component; absent where the manifest's behavior needs none, or on an update that keeps
    /// the one deployed.
    pub component: Option<Bytes>,
}

impl Shared {
    /// Deploys a new agent: validate, compile, try `init`, commit, start.
    pub(crate) async fn deploy(
        self: &Arc<Self>,
        scope: &TenantScope,
        package: Package,
        start: bool,
    ) -> Result<Arc<AgentEntry>, Error> {
        let id = AgentId::new(scope.tenant().clone(), package.manifest.name.clone());
        if self.agent(&id).is_some() {
            return Err(Error::new(
                Code::AgentExists,
                format!("agent {id} is deployed"),
            ));
        }
        let component = component_of(package.component, &package.manifest)?;
        let artifact = artifact(id, package.manifest, component);
        let program = self.try_out(&artifact, start).await?;
        let now = self.services.clock.now();
        let deployed = Deployed::new(&artifact, now, now);
        let _ = deployed.program.set(program);
        let entry = Arc::new(AgentEntry::new(artifact.agent.clone(), deployed));
        let _changing = entry.changing.lock().await;
        // Registered while still unloaded: the name is taken, and no message is accepted yet.
        self.register(Arc::clone(&entry))?;
        let phase = if start { Phase::Running } else { Phase::Loaded };
        if let Err(error) = self.record(&entry, phase, Some(&artifact)).await {
            self.deregister(entry.id());
            return Err(error);
        }
        entry.step(Step::Load)?;
        if start {
            entry.step(Step::Start)?;
        }
        tracing::info!(agent = %entry.id(), version = %artifact.manifest.version, %phase, "deployed");
        Ok(Arc::clone(&entry))
    }

    /// Deploys a new version of an agent. A running agent goes on with the new version from its next
    /// batch of messages; none is lost and none is handled by both.
    pub(crate) async fn update(
        self: &Arc<Self>,
        scope: &TenantScope,
        entry: &Arc<AgentEntry>,
        package: Package,
    ) -> Result<(), Error> {
        let _changing = self.changing(entry).await?;
        if package.manifest.name != entry.id().name {
            return Err(Error::new(
                Code::ManifestMalformed,
                format!(
                    "the manifest's name is `{}`, the agent's `{}`",
                    package.manifest.name,
                    entry.id().name
                ),
            ));
        }
        let old = entry.deployed();
        let component = match (package.component, old.digest) {
            (Some(component), _) => component,
            (None, Some(digest)) => self
                .services
                .store
                .artifact(scope, digest)
                .await?
                .ok_or_else(|| component_missing(&package.manifest))?,
            (None, None) => component_of(None, &package.manifest)?,
        };
        let artifact = artifact(entry.id().clone(), package.manifest, component);
        let runs = entry.phase() == Phase::Running;
        let program = self.try_out(&artifact, runs).await?;
        let deployed = Deployed::new(&artifact, old.created, self.services.clock.now());
        let _ = deployed.program.set(program);
        let record = record_of(entry, &deployed, entry.phase());
        let ops = vec![
            Op::ArtifactPut {
                digest: artifact.digest,
                bytes: artifact.component.clone(),
            },
            Op::AgentPut(Box::new(record)),
        ];
        self.commit(scope.tenant(), ops).await?;
        if runs {
            entry.step(Step::Reload)?;
        }
        entry.replace(deployed);
        tracing::info!(agent = %entry.id(), version = %artifact.manifest.version, "new version deployed");
        Ok(())
    }

    /// Validates and compiles; where the agent is to run, also makes an instance and lets it `init`,
    /// with a host whose effects are dropped.
    async fn try_out(&self, artifact: &Artifact, init: bool) -> Result<Arc<dyn Program>, Error> {
        if artifact.manifest.behavior == BehaviorKind::Native {
            let detail = "behavior = \"native\" cannot be deployed";
            return Err(Error::new(Code::ManifestMalformed, detail));
        }
        let runtime = self.runtime(artifact.manifest.behavior);
        let program = runtime.prepare(artifact.clone()).await?;
        if init {
            self.try_init(&*program, &artifact.agent, &artifact.manifest)
                .await?;
        }
        Ok(program)
    }

    /// Makes an instance and lets it `init`, with a host whose effects are dropped.
    async fn try_init(
        &self,
        program: &dyn Program,
        agent: &AgentId,
        manifest: &Arc<Manifest>,
    ) -> Result<(), Error> {
        let mut behavior = program.instantiate().await.map_err(init_failed)?;
        let mailbox = MailboxId {
            agent: agent.clone(),
            key: MailboxKey::Agent,
        };
        let host = Host::new(Arc::clone(&self.services), mailbox, Arc::clone(manifest));
        let (_, result) = behavior.init(host).await;
        result.map_err(init_failed)
    }

    /// Leave to change an agent, one change at a time. Whoever waited while it was removed, or while
    /// its deployment failed, finds it gone, even where another has taken its name.
    async fn changing<'a>(&self, entry: &'a Arc<AgentEntry>) -> Result<MutexGuard<'a, ()>, Error> {
        let guard = entry.changing.lock().await;
        let id = entry.id();
        if self.agent(id).is_some_and(|now| Arc::ptr_eq(&now, entry)) {
            return Ok(guard);
        }
        Err(Error::new(
            Code::AgentNotFound,
            format!("there is no agent {}", id.name),
        ))
    }

    /// Remembers where an agent stands; with its component when that is new.
    async fn record(
        &self,
        entry: &AgentEntry,
        phase: Phase,
        artifact: Option<&Artifact>,
    ) -> Result<(), Error> {
        let mut ops = Vec::with_capacity(2);
        if let Some(artifact) = artifact {
            ops.push(Op::ArtifactPut {
                digest: artifact.digest,
                bytes: artifact.component.clone(),
            });
        }
        ops.push(Op::AgentPut(Box::new(record_of(
            entry,
            &entry.deployed(),
            phase,
        ))));
        self.commit(&entry.id().tenant, ops).await?;
        Ok(())
    }
}

fn record_of(entry: &AgentEntry, deployed: &Deployed, phase: Phase) -> AgentRecord {
    AgentRecord {
        agent: entry.id().name.clone(),
        manifest: (*deployed.manifest).clone(),
        digest: deployed.digest,
        phase,
        created: deployed.created,
        updated: deployed.updated,
    }
}

fn artifact(agent: AgentId, manifest: Manifest, component: Bytes) -> Artifact {
    let digest = Digest(Sha256::digest(&component).into());
    Artifact {
        agent,
        manifest: Arc::new(manifest),
        component,
        digest,
    }
}

/// An assistant needs no component; what comes with it are its scripts.
fn component_of(component: Option<Bytes>, manifest: &Manifest) -> Result<Bytes, Error> {
    match (component, manifest.behavior) {
        (Some(component), _) => Ok(component),
        (None, BehaviorKind::Assistant) => Ok(Bytes::new()),
        (None, _) => Err(component_missing(manifest)),
    }
}

fn component_missing(manifest: &Manifest) -> Error {
    Error::new(
        Code::ComponentMissing,
        format!("agent `{}` came without its component", manifest.name),
    )
}

fn init_failed(fault: crate::port::Fault) -> Error {
    Error::new(
        Code::InitFailed,
        format!("{}: {}", fault.code().title(), fault.detail),
    )
}

/// A version without code to load, for native behaviors.
pub(crate) fn native(manifest: Manifest, program: Arc<dyn Program>, now: Timestamp) -> Deployed {
    let program = tokio::sync::OnceCell::new_with(Some(program));
    Deployed {
        manifest: Arc::new(manifest),
        digest: None,
        created: now,
        updated: now,
        program,
    }
}
