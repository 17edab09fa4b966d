//! [`Host`]: the only way any behavior touches the world. Grants, limits, metering and spans are
//! written once, here.
//!
//! A host belongs to one live mailbox. What a handler does through it is kept as [`Effects`] until
//! the handler returned without a fault; the mailbox then commits them together with the message's
//! acknowledgement. A fault drops them. Only a call that waits leaves at once.

mod call;
mod effects;
mod guest_metrics;
mod log;
mod send;
mod state;
mod timer;

pub use call::{Outlet, WaitingCall};
pub use effects::{Effects, TimerEffect};
pub use guest_metrics::{GuestMetric, GuestMetrics};
pub use log::{LogLevel, LogLine, Logs};

use crate::opctx::TenantScope;
use crate::port::{Clock, Entropy, Store};
use caxton_core::error::{Code, Error};
use caxton_core::{AgentId, MailboxId, Manifest, Message, MessageId, Timestamp};
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
}

/// The message being handled.
#[derive(Clone, Debug)]
pub struct Current {
    pub message: Arc<Message>,
    /// 1 for the first try.
    pub attempt: u32,
    /// The span of this delivery.
    pub span_id: [u8; 8],
    /// The message may have been handled before, up to some call: recorded answers are replayed.
    pub replay: bool,
}

/// What one handler used so far.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    host_calls: u32,
    sends: u32,
    calls: u32,
    log_bytes: u64,
    log_dropped: u64,
    state_bytes: u64,
    waited: Duration,
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
}

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
            }),
        }
    }

    /// Begins the handling of a message: counters go to zero.
    pub fn begin(&mut self, message: Arc<Message>, attempt: u32, replay: bool) {
        let mut span_id = [0_u8; 8];
        self.inner.services.entropy.fill(&mut span_id);
        self.inner.current = Some(Current {
            message,
            attempt,
            span_id,
            replay,
        });
        self.inner.used = Used::default();
    }

    /// Ends it well: gives what the handler did. State it wrote stays visible to the next message.
    pub fn finish(&mut self) -> Effects {
        self.end();
        self.inner.state.stage();
        std::mem::take(&mut self.inner.effects)
    }

    /// Ends it badly: drops what the handler did.
    pub fn abandon(&mut self) {
        self.end();
        self.inner.state.abandon();
        self.inner.effects = Effects::default();
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

    fn new_message_id(&self, at: Timestamp) -> MessageId {
        let mut random = [0_u8; 10];
        self.inner.services.entropy.fill(&mut random);
        MessageId::from_parts(at, random)
    }
}
