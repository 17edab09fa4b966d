//! What the rows build engines of: ports, contexts, messages, agents.

use crate::measure::{Contestant, Scores, Stopwatch};
use anyhow::Context as _;
use bytes::Bytes;
use caxton_core::grant::Principal;
use caxton_core::manifest::{BehaviorKind, Durability};
use caxton_core::message::Identifier;
use caxton_core::{
    Acl, AgentId, AgentName, ConversationId, Manifest, Performative, TenantId, TraceContext,
};
use caxton_engine::app::Package;
use caxton_engine::port::{
    MemoryStore, NativeProgram, NativeRuntime, Program, Runtime, Store, SystemClock, SystemEntropy,
};
use caxton_engine::{App, OpCtx, Options, Ports};
use caxton_wasm::{Compiler, WasmRuntime};
use futures::future::BoxFuture;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// The content of messages in all rows that do not say otherwise, in bytes.
pub const CONTENT_BYTES: usize = 200;

/// How many times a message is passed on before the hop limit ends its chain.
pub const HOPS: u16 = caxton_core::route::HOPS_MAX;

/// Messages of a chain: the one from the door and those that it caused.
pub const CHAIN: u64 = HOPS as u64 + 1;

pub fn content() -> Bytes {
    (0..CONTENT_BYTES)
        .map(|at| b'a' + (at % 26) as u8)
        .collect()
}

pub fn tenant(index: usize) -> anyhow::Result<TenantId> {
    Ok(TenantId::parse(&format!("tenant-{index}"))?)
}

pub fn agent(tenant: &TenantId, name: &str) -> anyhow::Result<AgentId> {
    Ok(AgentId::new(tenant.clone(), AgentName::parse(name)?))
}

pub fn ctx(tenant: &TenantId) -> OpCtx {
    let trace = TraceContext {
        trace_id: [7; 16],
        span_id: [7; 8],
        sampled: false,
    };
    OpCtx::new(tenant.clone(), Principal::platform_admin(), trace)
}

/// A message with the parameters that ordinary agents set: protocol, conversation, content.
pub fn request(to: AgentId, conversation: &str, content: Bytes) -> anyhow::Result<Acl> {
    let mut acl = Acl::new(Performative::Request).to(to).content(content);
    acl.protocol = Some("fipa-request".to_owned());
    acl.conversation_id = Some(ConversationId::parse(conversation)?);
    Ok(acl)
}

/// The same, as if `from` had sent it.
pub fn request_from(from: AgentId, to: AgentId, name: &str, content: Bytes) -> anyhow::Result<Acl> {
    let mut acl = request(to, name, content)?;
    acl.sender = Some(Identifier::new(from));
    Ok(acl)
}

pub fn manifest(name: &AgentName, durability: Durability) -> Manifest {
    let mut manifest = Manifest::named(name.clone());
    manifest.delivery.durability = durability;
    manifest
}

/// An engine on a store and a runtime, with the machine's own clock and randomness.
pub async fn app_on(
    store: Arc<dyn Store>,
    runtime: Arc<dyn Runtime>,
    options: Options,
) -> anyhow::Result<App> {
    let ports = Ports::new(
        store,
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
        runtime,
    );
    Ok(App::start(ports, options).await?)
}

/// An engine in memory, for native agents.
pub async fn app_in_memory() -> anyhow::Result<App> {
    let store = Arc::new(MemoryStore::default());
    app_on(
        store,
        Arc::new(NativeRuntime::default()),
        Options::default(),
    )
    .await
}

pub fn add_native(
    app: &App,
    id: &AgentId,
    durability: Durability,
    program: NativeProgram,
) -> anyhow::Result<()> {
    let mut manifest = manifest(&id.name, durability);
    manifest.behavior = BehaviorKind::Native;
    add(app, id, manifest, Arc::new(program))
}

pub fn add(
    app: &App,
    id: &AgentId,
    manifest: Manifest,
    program: Arc<dyn Program>,
) -> anyhow::Result<()> {
    Ok(app.add_native(id.clone(), manifest, program)?)
}

/// Pieces of work that are on their way, and the one who waits for the last.
#[derive(Debug, Default)]
pub struct Wave {
    left: AtomicUsize,
    done: Notify,
}

impl Wave {
    pub fn begin(&self, pieces: usize) {
        self.left.store(pieces, Ordering::Release);
    }

    pub fn finish_one(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }

    pub async fn ended(&self) {
        self.done.notified().await;
    }
}

/// Waits, looking every millisecond: for what the engine tells by its metrics only.
pub async fn until(reached: impl Fn() -> bool) {
    while !reached() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Messages on their way from a first to a last.
pub trait Flow: Send + Sync {
    /// Sends them off and waits for the last.
    fn wave(&self) -> BoxFuture<'_, anyhow::Result<()>>;
}

/// A contestant that does so many waves a round.
pub struct Waves {
    name: &'static str,
    flow: Box<dyn Flow>,
    waves: usize,
    messages_each: u64,
}

impl Waves {
    pub fn new(name: &'static str, flow: Box<dyn Flow>, waves: usize, messages_each: u64) -> Self {
        Self {
            name,
            flow,
            waves,
            messages_each,
        }
    }
}

impl Contestant for Waves {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn round(&mut self) -> BoxFuture<'_, anyhow::Result<Scores>> {
        Box::pin(async {
            let watch = Stopwatch::start();
            for _ in 0..self.waves {
                self.flow.wave().await?;
            }
            Ok(watch.read().rates(self.messages_each * self.waves as u64))
        })
    }
}

/// The server's sandbox, in a process of its own for compiling where there is a folder to keep code.
pub fn wasm_runtime(
    cache: Option<&Path>,
    instances_max: usize,
) -> anyhow::Result<Arc<WasmRuntime>> {
    let compiler = match cache {
        Some(_) => Compiler::Child {
            program: std::env::current_exe().context("find the bench's own program")?,
            args: vec![crate::COMPILE_WORKER.into()],
        },
        None => Compiler::InProcess,
    };
    let options = caxton_wasm::Options {
        cache_dir: cache.map(Path::to_path_buf),
        cache_key: [7; 32],
        compiler,
        instances_live_max: u32::try_from(instances_max)?.saturating_add(16),
        ..caxton_wasm::Options::default()
    };
    Ok(Arc::new(WasmRuntime::new(options)?))
}

/// A shipped example's component.
pub fn example(name: &str) -> anyhow::Result<Bytes> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let path = root.join(name).join(format!("{name}.wasm"));
    let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(Bytes::from(bytes))
}

/// Deploys and starts with the default limits.
pub async fn deploy(
    app: &App,
    ctx: &OpCtx,
    id: &AgentId,
    durability: Durability,
    component: &Bytes,
) -> anyhow::Result<()> {
    let package = Package {
        manifest: manifest(&id.name, durability),
        component: Some(component.clone()),
    };
    app.agent_deploy(ctx, package, true).await?;
    Ok(())
}
