//! [`Host`]: the only way any behavior touches the world. Grants, limits, metering and spans are
//! written once, here.
//!
//! A host belongs to one live mailbox. What a handler does through it is kept as [`Effects`] until
//! the handler returned without a fault; the mailbox then commits them together with the message's
//! acknowledgement. A fault drops them. Only a call that waits leaves at once.

mod assistant;
mod call;
mod effects;
mod guest_metrics;
mod log;
mod send;
mod state;
mod timer;
mod tool;

pub use assistant::Opening;
pub use call::{Outlet, WaitingCall};
pub use effects::{Effects, TimerEffect};
pub use guest_metrics::{GuestMetric, GuestMetrics};
pub use log::{LogLevel, LogLine, Logs};

use crate::audit::{Audit, Signer};
use crate::breakers::Breakers;
use crate::documents::Documents;
use crate::limits::Quotas;
use crate::models::{Meters, ModelOptions, Models, Parts};
use crate::opctx::TenantScope;
use crate::port::model::NoModel;
use crate::port::secrets::NoSecrets;
use crate::port::tool::Executors;
use crate::port::{Clock, Entropy, Store};
use crate::task::Tasks;
use crate::tools::{ToolMeters, ToolOptions, ToolParts, ToolSide, Tools};
use crate::turn::{Sessions, Turns};
use caxton_core::error::{Code, Error};
use caxton_core::manifest::Durability;
use caxton_core::{
    AgentId, Epoch, MailboxId, Manifest, Message, MessageId, Timestamp, TraceContext, breaker,
};
use state::StateView;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What every host shares: the engine's ports and the sinks of its agents.
#[derive(Debug)]
pub struct Services {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Where waiting calls leave; the router's side of them.
    pub outlet: Arc<dyn Outlet>,
    pub logs: Arc<Logs>,
    pub guest_metrics: Arc<GuestMetrics>,
    pub(crate) models: Arc<Models>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) tools: Arc<Tools>,
    pub(crate) breakers: Arc<Breakers>,
}

impl Services {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        outlet: Arc<dyn Outlet>,
        parts: Parts,
        tools: ToolParts,
    ) -> Self {
        let (clock, entropy) = (Arc::clone(&parts.clock), Arc::clone(&parts.entropy));
        let documents = parts.documents.clone();
        let turns = Arc::new(Turns::new(documents.clone(), Arc::clone(&clock)));
        let sessions = Sessions::new(Arc::clone(&store), documents);
        let breakers = Arc::clone(&parts.breakers);
        Self {
            store,
            clock,
            entropy,
            outlet,
            logs: Arc::default(),
            guest_metrics: Arc::default(),
            models: Arc::new(Models::new(parts)),
            sessions: Arc::new(sessions),
            tools: Arc::new(Tools::new(tools, Arc::clone(&turns))),
            turns,
            breakers,
        }
    }

    /// Of hosts without an engine around them and without models: for the tests of behaviors.
    pub fn alone(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        outlet: Arc<dyn Outlet>,
    ) -> Result<Self, Error> {
        let documents = Documents::new(Arc::clone(&store), Epoch(0));
        let meters = Meters::new(&prometheus::Registry::new());
        let meters = meters.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let metered = |error: prometheus::Error| Error::new(Code::Internal, error.to_string());
        let quotas = Arc::new(Quotas::new(documents.clone()));
        let registry = prometheus::Registry::new();
        let breakers = Breakers::new(breaker::Options::default(), Arc::clone(&clock), &registry);
        let breakers = Arc::new(breakers.map_err(metered)?);
        let tools = ToolParts {
            store: Arc::clone(&store),
            documents: documents.clone(),
            secrets: Arc::new(NoSecrets),
            clock: Arc::clone(&clock),
            quotas: Arc::clone(&quotas),
            breakers: Arc::clone(&breakers),
            audit: Arc::new(Audit::new(
                Arc::clone(&store),
                Arc::clone(&clock),
                Arc::clone(&entropy),
                Epoch(0),
                Signer::new(&[0; 32]),
            )),
            executors: Executors::default(),
            tasks: Tasks::new(),
            meters: ToolMeters::new(&prometheus::Registry::new()).map_err(metered)?,
            options: ToolOptions::default(),
        };
        let parts = Parts {
            model: Arc::new(NoModel),
            secrets: Arc::new(NoSecrets),
            clock,
            entropy,
            quotas,
            documents,
            tasks: Tasks::new(),
            meters,
            breakers,
            options: ModelOptions::default(),
        };
        Ok(Self::new(store, outlet, parts, tools))
    }
}

/// What a host knows of the message being handled: what it stamps on those that the handler sends.
#[derive(Clone, Debug)]
pub struct Current {
    pub message: MessageId,
    /// The id of what this receiver makes of it.
    pub(crate) delivery: MessageId,
    /// Nothing of it is journalled, whatever the agent's delivery is: it is not handled again.
    passing: bool,
    /// 1 for the first try.
    pub attempt: u32,
    /// The message may have been handled before, up to some call: recorded answers are replayed.
    pub replay: bool,
    hop: u16,
    waiting: Option<Arc<[MailboxId]>>,
    trace: TraceContext,
    /// The span of this delivery is drawn at the first need: many handlers send nothing.
    has_span: bool,
}

/// What one handler used so far.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    host_calls: u32,
    sends: u32,
    /// Timers of names that had none.
    timers: usize,
    calls: u32,
    log_bytes: u64,
    log_dropped: u64,
    state_bytes: u64,
    /// Calls of models.
    completions: u32,
    tool_calls: u32,
    waited: Duration,
    fuel: u64,
    memory: u64,
}

/// The world, as one live mailbox may touch it.
pub struct Host {
    inner: Box<Inner>,
}

struct Inner {
    services: Arc<Services>,
    scope: TenantScope,
    mailbox: MailboxId,
    manifest: Arc<Manifest>,
    current: Option<Current>,
    effects: Effects,
    state: StateView,
    used: Used,
    /// The last message this host stamped.
    last_id: MessageId,
    /// On whose behalf tools are called.
    tool_side: Option<ToolSide>,
    /// The handler never waits.
    prompt: bool,
    reading: Reading,
}

/// A reading of the clock, and how many more prompt events it may stand for.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    at: Timestamp,
    spared: u32,
}

/// Events of prompt handlers in one batch (a message sent, a handler's end) that share one reading of
/// the clock: each takes about as long as a reading would.
const READING_EVENTS_MAX: u32 = 16;

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({})", self.inner.mailbox)
    }
}

impl Host {
    pub fn new(services: Arc<Services>, mailbox: MailboxId, manifest: Arc<Manifest>) -> Self {
        let scope = TenantScope::system(mailbox.agent.tenant.clone(), "an agent's own host");
        Self {
            inner: Box::new(Inner {
                services,
                scope,
                mailbox,
                manifest,
                current: None,
                effects: Effects::default(),
                state: StateView::default(),
                used: Used::default(),
                last_id: MessageId::MIN,
                tool_side: None,
                prompt: false,
                reading: Reading::default(),
            }),
        }
    }

    /// Begins the handling of a message: counters go to zero.
    pub fn begin(&mut self, message: &Message, attempt: u32, replay: bool) {
        let inner = &mut *self.inner;
        inner.current = Some(Current {
            message: message.id,
            delivery: message.delivery_to(&inner.mailbox.agent),
            passing: false,
            attempt,
            replay,
            hop: message.hop,
            waiting: message.waiting.clone(),
            trace: message.trace,
            has_span: false,
        });
        inner.used = Used::default();
        inner.tool_side = None;
        inner.prompt = false;
    }

    /// Says that the message is not journalled, and what is done for it is not either.
    pub(crate) fn passes(&mut self) {
        if let Some(current) = self.inner.current.as_mut() {
            current.passing = true;
        }
    }

    /// Whether the message may be handled again after a crash, so that what is done for it is
    /// journalled.
    fn is_durable(&self) -> bool {
        let current = self.inner.current.as_ref();
        self.inner.manifest.delivery.durability == Durability::Durable
            && current.is_none_or(|current| !current.passing)
    }

    /// The same for a handler that never waits. The first of a batch reads the clock anew.
    pub(crate) fn begin_prompt(&mut self, message: &Message, attempt: u32, replay: bool) {
        self.begin(message, attempt, replay);
        self.inner.prompt = true;
    }

    /// A batch begins: what was read of the clock is of no use any more.
    pub(crate) fn begin_batch(&mut self) {
        self.inner.reading.spared = 0;
    }

    /// The time of what the handler does now, or of its end.
    pub(crate) fn time(&mut self) -> Timestamp {
        let inner = &mut *self.inner;
        if !inner.prompt {
            return inner.services.clock.now();
        }
        if inner.reading.spared > 0 {
            inner.reading.spared -= 1;
        } else {
            inner.reading = Reading {
                at: inner.services.clock.now(),
                spared: READING_EVENTS_MAX - 1,
            };
        }
        inner.reading.at
    }

    /// Ends it well: gives what the handler did, in exchange for empty effects whose memory is used
    /// again. State it wrote stays visible to the next message.
    pub fn finish(&mut self, effects: &mut Effects) {
        self.end();
        self.inner.state.stage();
        std::mem::swap(&mut self.inner.effects, effects);
    }

    /// Ends it badly: drops what the handler did.
    pub fn abandon(&mut self) {
        self.end();
        self.inner.state.abandon();
        self.inner.effects.clear();
    }

    /// What was finished before is durable now.
    pub fn committed(&mut self) {
        self.inner.state.commit();
    }

    fn end(&mut self) {
        if self.inner.used.log_dropped > 0 {
            let text = format!(
                "{} bytes of log dropped: log_bytes_per_message_max",
                self.inner.used.log_dropped
            );
            self.write_log(LogLevel::Warn, text);
        }
        self.inner.current = None;
    }

    /// The message being handled; none inside `init`.
    pub fn current(&self) -> Option<&Current> {
        self.inner.current.as_ref()
    }

    /// The trace of the message being handled, with the span of this delivery; none inside `init`.
    pub fn trace(&mut self) -> Option<TraceContext> {
        let Inner {
            current, services, ..
        } = &mut *self.inner;
        let current = current.as_mut()?;
        if !current.has_span {
            let span_id = services.entropy.word().to_be_bytes();
            current.trace = current.trace.child(span_id);
            current.has_span = true;
        }
        Some(current.trace)
    }

    /// For the sandbox: the handler used so much fuel.
    pub fn burned(&mut self, fuel: u64) {
        self.inner.used.fuel = self.inner.used.fuel.saturating_add(fuel);
    }

    /// For the sandbox: the instance holds so many bytes of memory.
    pub fn holds(&mut self, bytes: u64) {
        self.inner.used.memory = bytes;
    }

    /// Bytes that the instance held after the last handler.
    pub(crate) fn memory(&self) -> u64 {
        self.inner.used.memory
    }

    /// Fuel that the last handler used.
    pub(crate) fn fuel(&self) -> u64 {
        self.inner.used.fuel
    }

    /// Who the agent is.
    pub fn agent(&self) -> &AgentId {
        &self.inner.mailbox.agent
    }

    pub fn mailbox(&self) -> &MailboxId {
        &self.inner.mailbox
    }

    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.inner.manifest
    }

    pub fn now(&mut self) -> Timestamp {
        self.inner.used.host_calls = self.inner.used.host_calls.saturating_add(1);
        self.inner.services.clock.now()
    }

    /// Random bytes; at most [`caxton_core::quota::RANDOM_BYTES_MAX`].
    pub fn random(&mut self, length: u32) -> Vec<u8> {
        self.inner.used.host_calls = self.inner.used.host_calls.saturating_add(1);
        let mut bytes = vec![0; length.min(caxton_core::quota::RANDOM_BYTES_MAX) as usize];
        self.inner.services.entropy.fill(&mut bytes);
        bytes
    }

    /// Adds to a counter of the agent's own.
    pub fn count(&mut self, name: &str, by: u64) {
        if self.charge().is_ok() {
            self.inner
                .services
                .guest_metrics
                .count(&self.inner.mailbox.agent, name, by);
        }
    }

    /// Sets a gauge of the agent's own.
    pub fn gauge(&mut self, name: &str, value: f64) {
        if self.charge().is_ok() {
            self.inner
                .services
                .guest_metrics
                .gauge(&self.inner.mailbox.agent, name, value);
        }
    }

    /// Counts one host call and refuses the one past the limit.
    fn charge(&mut self) -> Result<(), Error> {
        let max = self.inner.manifest.limits.host_calls_per_message_max;
        if self.inner.used.host_calls >= max {
            return Err(Error::new(
                Code::HostCallLimit,
                format!("more than {max} host calls for one message"),
            ));
        }
        self.inner.used.host_calls += 1;
        Ok(())
    }

    /// The next id and time for a message that the handler sends.
    fn new_message_id(&mut self) -> (MessageId, Timestamp) {
        let at = self.time();
        let inner = &mut *self.inner;
        let cause = inner
            .current
            .as_ref()
            .map_or(MessageId::MIN, |it| it.message);
        let random = inner.services.entropy.word();
        inner.last_id = MessageId::next(at, cause.max(inner.last_id), random);
        (inner.last_id, at)
    }
}
