//! Tools. An adapter carries calls out, one for each kind of tool; whether a call may be made, for how
//! long, and what is written of it, is the engine's to say (`tools/`).

use super::Answer;
use super::secrets::Secret;
use bytes::Bytes;
use caxton_core::error::{Code, Error};
use caxton_core::model::Part;
use caxton_core::tool::{Auth, Definition, Function, FunctionName, HttpTool, ToolName};
use caxton_core::{TenantId, TraceContext};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Largest answer that is taken of any tool, in bytes; what an agent gets of it is less
/// (`tools.result_bytes_max`).
pub const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Carries calls of one kind of tool out.
pub trait Executor: Send + Sync + fmt::Debug {
    /// The functions that a tool offers now: of an HTTP tool as it is defined, of an MCP server and a
    /// component as they say. Bounded in time by whoever asks.
    fn describe(&self, tool: Arc<ToolTarget>) -> Answer<'_, Result<Vec<Function>, ToolFault>>;

    /// One call. Dropped, it is given up, and whoever runs it is told where that can be.
    fn call(&self, call: ToolCall) -> Answer<'_, Result<ToolAnswer, ToolFault>>;

    /// The tool was replaced or removed: connections and instances that are kept for it go.
    fn forget(&self, _tenant: &TenantId, _name: &ToolName) {}

    /// The session is over, or nobody used it for long: what is kept for it (a browser, say) goes.
    fn close_session(&self, _tenant: &TenantId, _session: &str) {}

    /// Endpoints as a document of a foreign format describes them. Errors: `CX-8002`.
    fn import(&self, _document: &Described<'_>) -> Result<HttpTool, Error> {
        let detail = "this server reads no descriptions of endpoints";
        Err(Error::new(Code::ToolMalformed, detail))
    }

    /// Tools of this kind that every tenant has.
    fn builtin(&self) -> Vec<Builtin> {
        Vec::new()
    }
}

/// An `OpenAPI` 3 document, and what is wanted of it.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    pub document: &'a str,
    /// Instead of the document's own server.
    pub base_url: Option<&'a str>,
    pub auth: &'a Auth,
    /// Operations by their `operationId`; empty: all.
    pub only: &'a [FunctionName],
}

/// A tool of the server's own.
#[derive(Clone, Debug)]
pub struct Builtin {
    pub name: ToolName,
    pub description: String,
    pub functions: Vec<Function>,
}

/// Which tool, and how it is reached.
#[derive(Clone, Debug)]
pub struct ToolTarget {
    /// Whose call it is. An operator's tool is called for many tenants, and shares nothing between them.
    pub tenant: TenantId,
    pub name: ToolName,
    /// None for what is built in.
    pub definition: Option<Definition>,
    /// Opened; where it goes is the definition's `auth`.
    pub secret: Option<Secret>,
    /// Of a wasm tool.
    pub component: Option<Bytes>,
    /// Grows each time the tool is replaced: what is kept for an older one is not used again.
    pub revision: u64,
    /// The server's operator registered it, not a tenant: inner addresses and programs are allowed.
    pub trusted: bool,
}

/// One call.
#[derive(Clone, Debug)]
pub struct ToolCall {
    pub target: Arc<ToolTarget>,
    pub function: Arc<Function>,
    /// They fit the function's schema.
    pub arguments: Value,
    /// The same for each try of one call: an idempotency key.
    pub key: String,
    /// Whose workspace and browser it is: a session, or what stands for one.
    pub session: String,
    /// From the beginning to the whole answer.
    pub timeout: Duration,
    /// Bytes of the answer that are of use; more may be cut off, but must be said to be.
    pub bytes_max: usize,
    /// Hosts that the tenant lets tools reach: `example.com`, `*.example.com`; empty: any.
    pub hosts: Arc<[String]>,
    pub trace: TraceContext,
}

/// What a tool answered. That it failed in its own terms is an answer too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolAnswer {
    /// Text and images.
    pub parts: Vec<Part>,
    /// As the function's output schema says.
    pub structured: Option<Value>,
    pub is_error: bool,
    /// It says that whoever answered is ill or overloaded (HTTP 429 and 5xx), and for how long it wants to
    /// be left alone.
    pub ill: Option<Duration>,
    /// What the tool wrote to its own log: for the log of calls, and not for whoever called.
    pub log: Vec<String>,
}

impl ToolAnswer {
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::text(text)],
            ..Self::default()
        }
    }

    /// A failure in the tool's own terms.
    pub fn error(text: impl Into<String>) -> Self {
        Self {
            is_error: true,
            ..Self::text(text)
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ToolFault {
    pub kind: ToolFaultKind,
    /// What an agent and its tenant may see: no secrets, no inner addresses.
    pub detail: String,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToolFaultKind {
    /// The address may not be reached.
    Egress,
    /// It cannot be reached, broke off, or refused the credential.
    Unavailable,
    Timeout,
    TooLarge,
    /// What it answered is not what its protocol says.
    Malformed,
    /// The arguments, beyond what the schema says.
    Arguments,
    /// It trapped, or went past a limit of the sandbox.
    Failed,
    /// There is no such function any more.
    NotFound,
    /// The component cannot be one of a tool, or not under the limits of this server: its own code says
    /// why.
    Component(Code),
    /// No browser on this machine.
    NoBrowser,
    Internal,
}

impl ToolFault {
    pub fn new(kind: ToolFaultKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    pub const fn code(&self) -> Code {
        match self.kind {
            ToolFaultKind::Egress => Code::EgressRefused,
            ToolFaultKind::Unavailable => Code::ToolUnavailable,
            ToolFaultKind::Timeout => Code::ToolTimeout,
            ToolFaultKind::TooLarge => Code::ToolAnswerTooLarge,
            ToolFaultKind::Malformed => Code::ToolAnswerMalformed,
            ToolFaultKind::Arguments => Code::ToolArguments,
            ToolFaultKind::Failed => Code::ToolFailed,
            ToolFaultKind::NotFound => Code::ToolNotFound,
            ToolFaultKind::Component(code) => code,
            ToolFaultKind::NoBrowser => Code::BrowserUnavailable,
            ToolFaultKind::Internal => Code::Internal,
        }
    }
}

impl From<ToolFault> for Error {
    fn from(fault: ToolFault) -> Self {
        Self::new(fault.code(), fault.detail)
    }
}

/// The executors of a server. Those that are absent have no tools.
#[derive(Clone, Debug)]
pub struct Executors {
    /// `fetch`, `browser`: what is built in and needs the world. Files and the canvas are the engine's.
    pub builtin: Arc<dyn Executor>,
    pub http: Arc<dyn Executor>,
    pub mcp: Arc<dyn Executor>,
    pub wasm: Arc<dyn Executor>,
}

impl Default for Executors {
    fn default() -> Self {
        let none: Arc<dyn Executor> = Arc::new(NoTools);
        Self {
            builtin: Arc::clone(&none),
            http: Arc::clone(&none),
            mcp: Arc::clone(&none),
            wasm: none,
        }
    }
}

/// Where tools of a kind are not.
#[derive(Debug)]
pub struct NoTools;

impl NoTools {
    fn fault() -> ToolFault {
        ToolFault::new(
            ToolFaultKind::Unavailable,
            "this server has no tools of this kind",
        )
    }
}

impl Executor for NoTools {
    fn describe(&self, _tool: Arc<ToolTarget>) -> Answer<'_, Result<Vec<Function>, ToolFault>> {
        Box::pin(std::future::ready(Err(Self::fault())))
    }

    fn call(&self, _call: ToolCall) -> Answer<'_, Result<ToolAnswer, ToolFault>> {
        Box::pin(std::future::ready(Err(Self::fault())))
    }
}
