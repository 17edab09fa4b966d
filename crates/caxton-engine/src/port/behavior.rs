//! What answers an agent's messages. A [`Runtime`] turns an [`Artifact`] into a [`Program`] once per
//! deployment; a program gives instances; an instance handles one message at a time.
//!
//! Only owned values pass, so that a sandbox can later live in another process.

use super::Answer;
use crate::host::Host;
use bytes::Bytes;
use caxton_core::error::{Code, Error};
use caxton_core::{AgentId, Digest, Manifest, Message};
use std::fmt;
use std::sync::Arc;

/// What is deployed: the manifest and, for wasm, the component.
#[derive(Clone)]
pub struct Artifact {
    pub agent: AgentId,
    pub manifest: Arc<Manifest>,
    pub component: Bytes,
    /// SHA-256 of `component`.
    pub digest: Digest,
}

impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Artifact({} {} {})",
            self.agent, self.manifest.version, self.digest
        )
    }
}

/// Makes programs. One per kind of behavior; the engine picks by the manifest.
pub trait Runtime: Send + Sync + fmt::Debug {
    /// Validates and compiles. May take seconds; never blocks the calling thread.
    fn prepare(&self, artifact: Artifact) -> Answer<'_, Result<Arc<dyn Program>, Error>>;
    /// Instances that it can have live at a time; `None`: as many as the engine wants.
    fn instances_max(&self) -> Option<usize> {
        None
    }
}

/// Where no assistants are: deploying one is refused.
#[derive(Debug)]
pub struct NoAssistants;

impl Runtime for NoAssistants {
    fn prepare(&self, _artifact: Artifact) -> Answer<'_, Result<Arc<dyn Program>, Error>> {
        let detail = "this server has no assistants";
        let refused = Err(Error::new(Code::ManifestMalformed, detail));
        Box::pin(std::future::ready(refused))
    }
}

/// Compiled code, ready to be instantiated any number of times.
pub trait Program: Send + Sync + fmt::Debug {
    /// A fresh instance; `init` has not run. Microseconds.
    fn instantiate(&self) -> Answer<'_, Result<Box<dyn Behavior>, Fault>>;
}

/// A live instance. The host goes in with each call and comes back with the answer; a call that is
/// dropped midway takes the host and all effects with it, and the instance must not be used again.
pub trait Behavior: Send {
    /// One message, where the behavior never waits: microseconds of work that no await could
    /// interrupt. `None`: it may wait, nothing was done, and `handle` is to be called.
    fn handle_at_once(
        &mut self,
        _host: &mut Host,
        _message: &Arc<Message>,
    ) -> Option<Result<(), Fault>> {
        None
    }
    /// Once, before the first message.
    fn init(&mut self, host: Host) -> Answer<'_, (Host, Result<(), Fault>)>;
    /// One message. After a [`Fault`] that [`Fault::is_fatal`] the instance must not be used again.
    fn handle(
        &mut self,
        host: Host,
        message: Arc<Message>,
    ) -> Answer<'_, (Host, Result<(), Fault>)>;
}

/// Why a message was not handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// What the sandbox or the handler said; at most a few hundred characters.
    pub detail: String,
}

/// The kinds of fault. All but `Handler` leave the instance unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// `handle` answered with an error; the instance is fine.
    Handler,
    /// `init` (or the start function) answered with an error or trapped.
    Init,
    Trap,
    Fuel,
    Timeout,
    Memory,
    /// Past a limit on host calls, sends or writes that the guest did not respect.
    HostLimit,
    /// No place for an instance: as many live as the server, or the machine, can have. It costs the
    /// message no try, and is not waited for for ever.
    Overload,
    /// The server's own fault.
    Internal,
}

impl FaultKind {
    /// The label in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Init => "init",
            Self::Trap => "trap",
            Self::Fuel => "fuel",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::HostLimit => "host_limit",
            Self::Overload => "overload",
            Self::Internal => "internal",
        }
    }

    pub const ALL: [Self; 9] = [
        Self::Handler,
        Self::Init,
        Self::Trap,
        Self::Fuel,
        Self::Timeout,
        Self::Memory,
        Self::HostLimit,
        Self::Overload,
        Self::Internal,
    ];
}

impl Fault {
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        if detail.len() > 500 {
            detail = detail.chars().take(500).collect();
        }
        Self { kind, detail }
    }

    /// Whether the instance is lost.
    pub fn is_fatal(&self) -> bool {
        self.kind != FaultKind::Handler
    }

    pub fn code(&self) -> Code {
        match self.kind {
            FaultKind::Handler => Code::HandlerFailed,
            FaultKind::Init => Code::InitFailed,
            FaultKind::Trap => Code::HandlerTrapped,
            FaultKind::Fuel => Code::FuelExhausted,
            FaultKind::Timeout => Code::HandleTimeout,
            FaultKind::Memory => Code::MemoryExhausted,
            FaultKind::HostLimit => Code::HostCallLimit,
            FaultKind::Overload => Code::InstancesTooMany,
            FaultKind::Internal => Code::Internal,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::new(fault.code(), fault.detail)
    }
}
