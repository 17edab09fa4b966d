//! From nothing in memory to work done: an instance from the pool, and an instance from compiled code
//! on disk, against bare wasmtime with the same settings.

use crate::Run;
use crate::measure::{CPU_US, Contestant, Scores, Stopwatch, WALL_US, race};
use crate::peers::bare::{self, Bare};
use crate::report::{Goal, Report, Row, Side};
use crate::world::{
    agent, app_on, content, ctx, deploy, example, request, request_from, until, wasm_runtime,
};
use bytes::Bytes;
use caxton_core::manifest::Durability;
use caxton_core::{AgentId, Digest, Manifest, Message, MessageId, TenantId, Timestamp};
use caxton_engine::port::{Artifact, MemoryStore, Runtime};
use caxton_engine::{App, OpCtx, Options};
use caxton_wasm::WasmRuntime;
use futures::future::BoxFuture;
use sha2::Digest as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Agents that get their first message in one round.
const AGENTS: usize = 500;
/// How often code is loaded from disk in one round.
const LOADS: usize = 200;

pub async fn run(run: &Run, report: &mut Report) -> anyhow::Result<()> {
    let component = example("bounce")?;
    from_pool(run, report, &component).await?;
    from_disk(run, report, &component).await
}

async fn from_pool(run: &Run, report: &mut Report, component: &Bytes) -> anyhow::Result<()> {
    let agents = run.scaled(AGENTS);
    let mut ours = Waking::new(agents, component).await?;
    let engine = bare::engine(1000).map_err(bare::failed)?;
    let compiled = Component::new(&engine, component).map_err(bare::failed)?;
    let mut peer = BareCalls {
        bare: Bare::new(&compiled).map_err(bare::failed)?,
        request: bare_message()?,
        times: agents,
    };
    let all = race(run, &mut [&mut ours, &mut peer]).await?;
    ours.app.stop(Duration::ZERO).await;
    if let [ours, bare] = all.as_slice() {
        report.add(
            Row::new("start", "from the pool to the first message handled", CPU_US)
                .work(
                    "An agent that left memory gets a message: App::message_send, a worker, an instance \
                     from the pool, init, handle (which sends one), the instance gone again. Peer: \
                     InstancePre::instantiate, init, handle and drop, blocking, with a host whose send \
                     does nothing.",
                )
                .ours(Side::of("caxton", ours, CPU_US))
                .peer(Side::of("bare wasmtime", bare, CPU_US))
                .goal(Goal::RatioAtMost(2.0)),
        );
    }
    Ok(())
}

async fn from_disk(run: &Run, report: &mut Report, component: &Bytes) -> anyhow::Result<()> {
    let times = run.scaled(LOADS);
    let cache = run.scratch.join("code");
    let runtime = wasm_runtime(Some(&cache), 64)?;
    let artifact = artifact("loaded", component)?;
    // Compiled once, by which it comes to the disk.
    drop(runtime.prepare(artifact.clone()).await?);
    let mut ours = Loading {
        runtime,
        artifact,
        times,
    };
    let engine = bare::engine(64).map_err(bare::failed)?;
    let code = engine
        .precompile_component(component)
        .map_err(bare::failed)?;
    let path = run.scratch.join("bare.cwasm");
    std::fs::write(&path, code)?;
    let mut peer = BareLoads {
        engine,
        path,
        times,
    };
    let all = race(run, &mut [&mut ours, &mut peer]).await?;
    if let [ours, bare] = all.as_slice() {
        for unit in [CPU_US, WALL_US] {
            report.add(
                Row::new("start", "an instance from precompiled code on disk", unit)
                    .work(
                        "Runtime::prepare of a component whose code is on disk (read, authenticated, \
                         loaded, linked, off the serving threads) and one instance. Peer: \
                         Component::deserialize_file (mapped, not authenticated), a linker, \
                         instantiate_pre, one instance.",
                    )
                    .ours(Side::of("caxton", ours, unit))
                    .peer(Side::of("bare wasmtime", bare, unit))
                    .goal(Goal::RatioAtMost(3.0)),
            );
        }
    }
    Ok(())
}

/// Transient agents of one component, none of which is in memory when a round begins.
struct Waking {
    app: App,
    ctx: OpCtx,
    agents: Vec<AgentId>,
    content: Bytes,
}

impl Waking {
    async fn new(agents: usize, component: &Bytes) -> anyhow::Result<Self> {
        let runtime = wasm_runtime(None, agents)?;
        let options = Options {
            idle_linger: Duration::from_millis(20),
            sweep_interval: Duration::from_millis(10),
            ..Options::default()
        };
        let app = app_on(Arc::new(MemoryStore::default()), runtime, options).await?;
        let ctx = ctx(&TenantId::default_tenant());
        let mut ids = Vec::with_capacity(agents);
        for index in 0..agents {
            let id = agent(&ctx.tenant, &format!("sleeper-{index}"))?;
            deploy(&app, &ctx, &id, Durability::Transient, component).await?;
            ids.push(id);
        }
        Ok(Self {
            app,
            ctx,
            agents: ids,
            content: content(),
        })
    }

    async fn wake_all(&self) -> anyhow::Result<Scores> {
        let metrics = self.app.metrics();
        let goal = metrics.activations.get() + self.agents.len() as u64;
        let watch = Stopwatch::start();
        for id in &self.agents {
            let acl = request(id.clone(), "first", self.content.clone())?;
            self.app.message_send(&self.ctx, acl, None).await?;
        }
        until(|| metrics.activations.get() >= goal).await;
        // A worker goes home with its instance once it has handled what there was: what it costs to
        // take the instances down belongs to it.
        until(|| metrics.mailboxes_live.get() == 0).await;
        Ok(watch.read().costs(self.agents.len() as u64))
    }
}

impl Contestant for Waking {
    fn name(&self) -> String {
        "caxton".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(self.wake_all())
    }
}

/// What the bare instances get: as the engine stamps a message.
fn bare_message() -> anyhow::Result<Message> {
    let tenant = TenantId::default_tenant();
    let (from, to) = (agent(&tenant, "thrower")?, agent(&tenant, "catcher")?);
    Ok(Message {
        id: MessageId::from_bytes([7; 16]),
        trace: ctx(&tenant).trace,
        tenant,
        parent: None,
        hop: 0,
        waiting: None,
        created: Timestamp::EPOCH,
        acl: request_from(from, to, "first", content())?,
    })
}

struct BareCalls {
    bare: Bare,
    request: Message,
    times: usize,
}

impl BareCalls {
    fn calls(&self) -> wasmtime::Result<Scores> {
        let watch = Stopwatch::start();
        for _ in 0..self.times {
            let mut instance = self.bare.instantiate()?;
            instance.init()?;
            instance.handle(&self.request)?;
        }
        Ok(watch.read().costs(self.times as u64))
    }
}

impl Contestant for BareCalls {
    fn name(&self) -> String {
        "bare wasmtime".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(std::future::ready(self.calls().map_err(bare::failed)))
    }
}

/// An artefact as the engine makes them of a deployment.
pub fn artifact(name: &str, component: &Bytes) -> anyhow::Result<Artifact> {
    let agent = agent(&TenantId::default_tenant(), name)?;
    Ok(Artifact {
        manifest: Arc::new(Manifest::named(agent.name.clone())),
        agent,
        component: component.clone(),
        digest: Digest(sha2::Sha256::digest(component).into()),
    })
}

struct Loading {
    runtime: Arc<WasmRuntime>,
    artifact: Artifact,
    times: usize,
}

impl Contestant for Loading {
    fn name(&self) -> String {
        "caxton".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let watch = Stopwatch::start();
            for _ in 0..self.times {
                // The program before is dropped, and nobody else holds its code: it is forgotten.
                let program = self.runtime.prepare(self.artifact.clone()).await?;
                let instance = program.instantiate().await;
                drop(instance.map_err(caxton_core::Error::from)?);
            }
            Ok(watch.read().costs(self.times as u64))
        })
    }
}

struct BareLoads {
    engine: Engine,
    path: PathBuf,
    times: usize,
}

impl BareLoads {
    fn loads(&self) -> wasmtime::Result<Scores> {
        let watch = Stopwatch::start();
        for _ in 0..self.times {
            Bare::load(&self.engine, &self.path)?.instantiate()?;
        }
        Ok(watch.read().costs(self.times as u64))
    }
}

impl Contestant for BareLoads {
    fn name(&self) -> String {
        "bare wasmtime".to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(std::future::ready(self.loads().map_err(bare::failed)))
    }
}
