//! An engine on a memory disk with native agents and paused time: what the tests of this folder share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

use bytes::Bytes;
use caxton_core::grant::Principal;
use caxton_core::{
    Acl, AgentId, AgentName, Error, Manifest, Message, MessageId, Performative, TenantId,
    Timestamp, TraceContext,
};
use caxton_engine::app::{AgentView, Package, Sent};
use caxton_engine::host::Host;
use caxton_engine::port::memory::{CommitFault, MemoryDisk, MemoryStore};
use caxton_engine::port::store::{MessageFilter, Op, PageRequest, StoreError, Unit};
use caxton_engine::port::{Clock, Fault, ManualClock, NativeProgram, NativeRuntime, SeededEntropy};
use caxton_engine::{App, OpCtx, Options, Ports};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub type Handled = (Host, Result<(), Fault>);

/// One server after the other on the same disk.
pub struct World {
    pub disk: MemoryDisk,
    pub clock: Arc<ManualClock>,
    pub options: Options,
    runtime: Arc<NativeRuntime>,
    dead: Arc<AtomicBool>,
    hung: Arc<OnceLock<TenantId>>,
    pub app: App,
    seed: u64,
}

/// The agents a world knows, by component name.
#[derive(Default)]
pub struct Cast(NativeRuntime);

impl Cast {
    pub fn with<F, Fut>(self, name: &str, handler: F) -> Self
    where
        F: Fn(Host, Arc<Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Handled> + Send + 'static,
    {
        Self(
            self.0
                .with(AgentName::parse(name).unwrap(), NativeProgram::new(handler)),
        )
    }

    /// A handler that never waits.
    pub fn with_prompt<F>(self, name: &str, handler: F) -> Self
    where
        F: Fn(&mut Host, &Arc<Message>) -> Result<(), Fault> + Send + Sync + 'static,
    {
        let program = NativeProgram::prompt(handler);
        Self(self.0.with(AgentName::parse(name).unwrap(), program))
    }
}

impl World {
    pub async fn new(cast: Cast) -> Self {
        Self::with_options(cast, Options::default()).await
    }

    pub async fn with_options(cast: Cast, options: Options) -> Self {
        let disk = MemoryDisk::default();
        let clock = Arc::new(ManualClock::new(
            Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap(),
        ));
        let runtime = Arc::new(cast.0);
        let dead = Arc::new(AtomicBool::new(false));
        let hung = Arc::default();
        let app = start(&disk, &clock, &runtime, (&dead, &hung), &options, 1).await;
        Self {
            disk,
            clock,
            options,
            runtime,
            dead,
            hung,
            app,
            seed: 1,
        }
    }

    /// Ends the server as kill -9 does: nothing it still tries reaches the disk. Starts another.
    pub async fn crash(&mut self) {
        self.dead.store(true, Ordering::SeqCst);
        self.app.stop(Duration::ZERO).await;
        self.seed += 1;
        self.dead = Arc::new(AtomicBool::new(false));
        self.app = start(
            &self.disk,
            &self.clock,
            &self.runtime,
            (&self.dead, &self.hung),
            &self.options,
            self.seed,
        )
        .await;
    }

    /// Makes every commit fail, or succeed again.
    pub fn break_store(&self, broken: bool) {
        self.dead.store(broken, Ordering::SeqCst);
    }

    /// From now on what fires this tenant's timers is never committed, and never refused.
    pub fn hang_timers(&self, of: &TenantId) {
        self.hung.set(of.clone()).unwrap();
    }

    pub async fn deploy(&self, name: &str, component: &str) -> AgentView {
        self.deploy_with(name, component, |_| {}).await
    }

    pub async fn deploy_with(
        &self,
        name: &str,
        component: &str,
        change: impl FnOnce(&mut Manifest),
    ) -> AgentView {
        self.try_deploy(name, component, change).await.unwrap()
    }

    pub async fn try_deploy(
        &self,
        name: &str,
        component: &str,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<AgentView, Error> {
        self.app
            .agent_deploy(&ctx(), package(name, component, change), true)
            .await
    }

    pub async fn send(&self, acl: Acl) -> Result<MessageId, Error> {
        Ok(self.app.message_send(&ctx(), acl, None).await?.id)
    }

    pub async fn ask(&self, acl: Acl) -> Result<Arc<Message>, Error> {
        let sent: Sent = self
            .app
            .message_send(&ctx(), acl, Some(Duration::from_secs(60)))
            .await?;
        Ok(sent.reply.unwrap())
    }

    /// Lets (paused) time pass.
    pub async fn pass(&self, time: Duration) {
        self.clock.sleep_until(self.clock.now().plus(time)).await;
    }

    /// Waits (in paused time) until no agent has anything to do.
    pub async fn settle(&self) {
        for _ in 0..100_000 {
            let agents = self.app.agent_list(&ctx(), None, usize::MAX).unwrap();
            let busy = agents.iter().any(|agent| agent.queued > 0);
            let now = self.clock.now();
            self.clock
                .sleep_until(now.plus(Duration::from_millis(20)))
                .await;
            if !busy {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Waits until all that can be handled is, though some handler never ends.
    pub async fn settle_busy(&self) {
        self.pass(Duration::from_millis(200)).await;
    }

    /// How many recorded messages there are that no mailbox still has, and all.
    pub async fn recorded(&self) -> usize {
        let page = PageRequest::first(1000);
        self.app
            .message_list(&ctx(), &MessageFilter::default(), &page)
            .await
            .unwrap()
            .rows
            .len()
    }
}

async fn start(
    disk: &MemoryDisk,
    clock: &Arc<ManualClock>,
    runtime: &Arc<NativeRuntime>,
    (dead, hung): (&Arc<AtomicBool>, &Arc<OnceLock<TenantId>>),
    options: &Options,
    seed: u64,
) -> App {
    let (dead, hung) = (Arc::clone(dead), Arc::clone(hung));
    let store = MemoryStore::open(disk.clone()).with_faults(Box::new(move |unit: &Unit| {
        let fires = |op: &Op| matches!(op, Op::TimerRemove { .. });
        if dead.load(Ordering::SeqCst) {
            return Some(CommitFault::Refuse(StoreError::Failed("broken".into())));
        }
        let hangs = hung.get() == Some(unit.scope.tenant()) && unit.ops.iter().any(fires);
        hangs.then_some(CommitFault::Hang)
    }));
    let ports = Ports::new(
        Arc::new(store),
        Arc::clone(clock) as Arc<dyn Clock>,
        Arc::new(SeededEntropy::new(seed)),
        Arc::clone(runtime) as Arc<_>,
    );
    App::start(ports, options.clone()).await.unwrap()
}

pub fn package(name: &str, component: &str, change: impl FnOnce(&mut Manifest)) -> Package {
    let mut manifest = Manifest::named(AgentName::parse(name).unwrap());
    change(&mut manifest);
    Package {
        manifest,
        component: Some(Bytes::copy_from_slice(component.as_bytes())),
    }
}

pub fn name(text: &str) -> AgentName {
    AgentName::parse(text).unwrap()
}

pub fn agent(text: &str) -> AgentId {
    AgentId::parse(text, &TenantId::default_tenant()).unwrap()
}

pub fn ctx() -> OpCtx {
    ctx_of(TenantId::default_tenant())
}

pub fn ctx_of(tenant: TenantId) -> OpCtx {
    let trace = TraceContext {
        trace_id: [7; 16],
        span_id: [7; 8],
        sampled: false,
    };
    OpCtx::new(tenant, Principal::platform_admin(), trace)
}

pub fn request(to: &str, content: &str) -> Acl {
    Acl::new(Performative::Request)
        .to(agent(to))
        .content(content.to_owned())
}

/// Answers a request with the same content.
pub async fn echo(mut host: Host, message: Arc<Message>) -> Handled {
    if message.acl.performative == Performative::Request {
        let reply = message
            .acl
            .reply(Performative::Inform)
            .content(message.acl.content.clone());
        if let Err(error) = host.send(reply) {
            return (
                host,
                Err(caxton_engine::port::native::failed(error.to_string())),
            );
        }
    }
    (host, Ok(()))
}

/// Adds one to the state `n` for each request, and answers with it.
pub async fn count(mut host: Host, message: Arc<Message>) -> Handled {
    if message.acl.performative != Performative::Request {
        return (host, Ok(()));
    }
    let old = host.state_get("n").await.unwrap();
    let old: u64 = old.map_or(0, |bytes| {
        std::str::from_utf8(&bytes).unwrap().parse().unwrap()
    });
    let new = (old + 1).to_string();
    host.state_set("n", Bytes::from(new.clone())).unwrap();
    host.send(message.acl.reply(Performative::Inform).content(new))
        .unwrap();
    (host, Ok(()))
}
