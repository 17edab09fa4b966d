//! Rust code as a behavior: for the server's own agents, tests and benches. It has no sandbox; what
//! it gets of the world is the same [`Host`].

use super::Answer;
use super::behavior::{Artifact, Behavior, Fault, FaultKind, Program, Runtime};
use crate::host::Host;
use caxton_core::error::{Code, Error};
use caxton_core::{AgentName, Message};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

type Handler =
    dyn Fn(Host, Arc<Message>) -> Answer<'static, (Host, Result<(), Fault>)> + Send + Sync;

type PromptHandler = dyn Fn(&mut Host, &Arc<Message>) -> Result<(), Fault> + Send + Sync;

/// A function that handles messages, as a program. It keeps no memory between messages but what it
/// captures.
#[derive(Clone)]
pub struct NativeProgram {
    handler: Function,
}

#[derive(Clone)]
enum Function {
    Waiting(Arc<Handler>),
    Prompt(Arc<PromptHandler>),
}

impl fmt::Debug for NativeProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NativeProgram")
    }
}

impl NativeProgram {
    pub fn new<F, Fut>(handler: F) -> Self
    where
        F: Fn(Host, Arc<Message>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = (Host, Result<(), Fault>)> + Send + 'static,
    {
        Self {
            handler: Function::Waiting(Arc::new(move |host, message| {
                Box::pin(handler(host, message))
            })),
        }
    }

    /// A handler that never waits: no call, no state that has to be read, no long computation. It
    /// costs no future.
    pub fn prompt<F>(handler: F) -> Self
    where
        F: Fn(&mut Host, &Arc<Message>) -> Result<(), Fault> + Send + Sync + 'static,
    {
        Self {
            handler: Function::Prompt(Arc::new(handler)),
        }
    }
}

impl Program for NativeProgram {
    fn instantiate(&self) -> Answer<'_, Result<Box<dyn Behavior>, Fault>> {
        let instance: Box<dyn Behavior> = Box::new(NativeInstance(self.handler.clone()));
        Box::pin(std::future::ready(Ok(instance)))
    }
}

struct NativeInstance(Function);

impl Behavior for NativeInstance {
    fn init(&mut self, host: Host) -> Answer<'_, (Host, Result<(), Fault>)> {
        Box::pin(std::future::ready((host, Ok(()))))
    }

    fn handle(
        &mut self,
        mut host: Host,
        message: Arc<Message>,
    ) -> Answer<'_, (Host, Result<(), Fault>)> {
        match &self.0 {
            Function::Waiting(handler) => handler(host, message),
            Function::Prompt(handler) => {
                let result = handler(&mut host, &message);
                Box::pin(std::future::ready((host, result)))
            }
        }
    }

    fn handle_at_once(
        &mut self,
        host: &mut Host,
        message: &Arc<Message>,
    ) -> Option<Result<(), Fault>> {
        match &self.0 {
            Function::Waiting(_) => None,
            Function::Prompt(handler) => Some(handler(host, message)),
        }
    }
}

/// A runtime whose components are names of native programs: the component's bytes are the name. It
/// lets tests and the simulator deploy, stop and restart agents without a sandbox.
#[derive(Debug, Default)]
pub struct NativeRuntime {
    programs: HashMap<AgentName, NativeProgram>,
}

impl NativeRuntime {
    #[must_use]
    pub fn with(mut self, name: AgentName, program: NativeProgram) -> Self {
        self.programs.insert(name, program);
        self
    }
}

impl Runtime for NativeRuntime {
    fn prepare(&self, artifact: Artifact) -> Answer<'_, Result<Arc<dyn Program>, Error>> {
        let name = std::str::from_utf8(&artifact.component)
            .ok()
            .map(AgentName::parse);
        let found = name
            .and_then(Result::ok)
            .and_then(|name| self.programs.get(&name).cloned());
        let prepared = match found {
            Some(program) => Ok(Arc::new(program) as Arc<dyn Program>),
            None => Err(Error::new(
                Code::ComponentMalformed,
                "no native program of this name",
            )),
        };
        Box::pin(std::future::ready(prepared))
    }
}

/// A fault as a handler gives it.
pub fn failed(text: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Handler, text)
}
