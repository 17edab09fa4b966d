//! One connection to an MCP server: begun, asked what it offers, asked to do something.

use super::answer;
use super::handler::{Handler, Health};
use super::http::Client;
use super::program::Program;
use crate::redact::Redaction;
use caxton_core::tool::{Auth, Definition, Effect, FUNCTIONS_MAX, Function, FunctionName};
use caxton_engine::port::Http;
use caxton_engine::port::tool::{ToolAnswer, ToolCall, ToolFault, ToolFaultKind, ToolTarget};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorCode, PaginatedRequestParams, ProtocolVersion,
    RequestMetaObject, Tool,
};
use rmcp::service::{
    ClientCacheConfig, ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _,
    RoleClient, RunningService, ServiceError,
};
use rmcp::transport::IntoTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransport;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// From the beginning to the server's greeting.
const GREETING_TIMEOUT: Duration = Duration::from_secs(30);
/// All that describing takes, the greeting included.
pub const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(60);
/// Pages of a list of functions.
const PAGES_MAX: usize = 64;
/// Bytes of what a server says that are told in a fault.
const SAID_BYTES_MAX: usize = 1_024;
/// Under which a call's key is told, in `_meta`.
const KEY: &str = "caxton/idempotency-key";

/// A connection whose server has greeted.
#[derive(Debug)]
pub struct Connection {
    service: RunningService<RoleClient, Handler>,
    health: Arc<Health>,
    /// The functions as they were when the connection was new: where the revision shows arguments in
    /// headers, the library has to have seen them.
    seen: OnceCell<()>,
}

impl Connection {
    pub async fn over_http(
        http: &Arc<dyn Http>,
        target: &ToolTarget,
        url: &str,
    ) -> Result<Self, ToolFault> {
        let health = Arc::<Health>::default();
        let auth = match &target.definition {
            Some(Definition::Mcp(tool)) => &tool.auth,
            _ => &Auth::None,
        };
        let client = Client::new(http, target, auth, &health);
        let transport = StreamableHttpClientTransport::with_client(client, Client::config(url));
        Self::greet(transport, health).await
    }

    pub async fn over_program(program: &Program, name: &str) -> Result<Self, ToolFault> {
        let health = Arc::<Health>::default();
        let lines = program.run(name, &health)?;
        Self::greet(lines, health).await
    }

    async fn greet<T, E, A>(transport: T, health: Arc<Health>) -> Result<Self, ToolFault>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let lifecycle = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        };
        let handler = Handler(Arc::clone(&health));
        let greeted = handler.serve_with_lifecycle(transport, lifecycle);
        let greeted = tokio::select! {
            biased;
            fault = health.failed() => return Err(fault),
            greeted = tokio::time::timeout(GREETING_TIMEOUT, greeted) => greeted,
        };
        let service = match greeted {
            Ok(Ok(service)) => service,
            Ok(Err(error)) => return Err(health.cause().unwrap_or_else(|| ungreeted(&error))),
            Err(_) => return Err(super::late(GREETING_TIMEOUT)),
        };
        // What is asked for is wanted as it is now.
        service
            .set_response_cache_config(ClientCacheConfig::disabled())
            .await;
        Ok(Self {
            service,
            health,
            seen: OnceCell::new(),
        })
    }

    /// Whether it may be used again.
    pub fn is_open(&self) -> bool {
        self.health.fatal().is_none()
            && !self.service.is_closed()
            && !self.service.is_transport_closed()
    }

    /// What the server offers now.
    pub async fn list(&self, target: &ToolTarget) -> Result<Vec<Function>, ToolFault> {
        self.health.begin();
        let mut functions = Vec::new();
        let mut cursors = BTreeSet::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let params = PaginatedRequestParams::default().with_cursor(cursor.take());
            let page = self.alive(self.service.list_tools(Some(params))).await?;
            for tool in page.tools {
                match function(tool, target.trusted) {
                    Ok(function) => functions.push(function),
                    Err(why) => {
                        let why = Redaction::of(target.secret.as_ref()).text(why);
                        tracing::warn!(tool = %target.name, "a function is left out: {why}");
                    }
                }
                if functions.len() > FUNCTIONS_MAX {
                    let text = format!("the MCP server has more than {FUNCTIONS_MAX} functions");
                    return Err(ToolFault::new(ToolFaultKind::TooLarge, text));
                }
            }
            cursor = page.next_cursor;
            match &cursor {
                None => return Ok(functions),
                Some(next) if cursors.insert(next.clone()) => {}
                Some(_) => {
                    let text = "the pages of the MCP server's list lead round in a circle";
                    return Err(ToolFault::new(ToolFaultKind::Malformed, text));
                }
            }
        }
        let text = format!("the MCP server's list has more than {PAGES_MAX} pages");
        Err(ToolFault::new(ToolFaultKind::TooLarge, text))
    }

    pub async fn call(&self, call: &ToolCall) -> Result<ToolAnswer, ToolFault> {
        let info = self.service.peer_info();
        if info.is_some_and(|it| it.protocol_version >= ProtocolVersion::STANDARD_HEADERS) {
            let see = || async { self.list(&call.target).await.map(drop) };
            self.seen.get_or_try_init(see).await?;
        }
        self.health.begin();
        let mut meta = RequestMetaObject::new();
        meta.insert(KEY.to_owned(), call.key.clone().into());
        meta.insert("traceparent".to_owned(), call.trace.to_traceparent().into());
        let mut params = CallToolRequestParams::new(call.function.name.as_str().to_owned());
        params.meta = Some(meta);
        params.arguments = match &call.arguments {
            Value::Object(fields) => Some(fields.clone()),
            _ => None,
        };
        // Dropped, it tells the server that it was given up.
        let asked = self.service.call_tool_once(params);
        match self.alive(asked).await {
            Ok(CallToolResponse::Complete(result)) => Ok(answer::read(result, call.bytes_max)),
            Ok(_) => Err(ToolFault::new(
                ToolFaultKind::Malformed,
                "the MCP server asks back for what this client does not offer",
            )),
            Err(fault) => Err(fault),
        }
    }

    /// What comes of a request, unless the connection comes to an end first.
    async fn alive<T>(
        &self,
        asked: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ToolFault> {
        tokio::select! {
            biased;
            fault = self.health.failed() => Err(fault),
            done = asked => done.map_err(|error| self.fault(error)),
        }
    }

    fn fault(&self, error: ServiceError) -> ToolFault {
        if let ServiceError::McpError(said) = &error {
            let kind = match said.code {
                ErrorCode::METHOD_NOT_FOUND => ToolFaultKind::NotFound,
                ErrorCode::INVALID_PARAMS => ToolFaultKind::Arguments,
                ErrorCode::PARSE_ERROR | ErrorCode::INVALID_REQUEST => ToolFaultKind::Malformed,
                _ => ToolFaultKind::Failed,
            };
            let text = format!("the MCP server answered: {}", cut(&said.message));
            return ToolFault::new(kind, text);
        }
        if let Some(cause) = self.health.cause() {
            return cause;
        }
        match error {
            ServiceError::UnexpectedResponse => ToolFault::new(
                ToolFaultKind::Malformed,
                "the MCP server answered what was not asked",
            ),
            ServiceError::TransportClosed | ServiceError::Cancelled { .. } => {
                ToolFault::new(ToolFaultKind::Unavailable, "the MCP server went away")
            }
            // The library's own text names our types.
            ServiceError::TransportSend(failed) => {
                let text = format!("the MCP server does not listen: {}", failed.error);
                ToolFault::new(ToolFaultKind::Unavailable, cut(&text))
            }
            other => {
                let text = cut(&other.to_string());
                ToolFault::new(ToolFaultKind::Unavailable, text)
            }
        }
    }
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(SAID_BYTES_MAX))
        .unwrap_or_default()
        .to_owned()
}

fn ungreeted(error: &ClientInitializeError) -> ToolFault {
    let kind = match error {
        ClientInitializeError::TransportError { .. }
        | ClientInitializeError::ConnectionClosed(_)
        | ClientInitializeError::Cancelled => ToolFaultKind::Unavailable,
        _ => ToolFaultKind::Malformed,
    };
    let text = format!("no MCP server is there: {}", cut(&greeted(error)));
    ToolFault::new(kind, text)
}

/// How it greeted instead. The library's own texts name types, ours and its.
fn greeted(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => greeted(fallback),
        ClientInitializeError::TransportError { error, .. } => error.error.to_string(),
        ClientInitializeError::ConnectionClosed(_) => "it ended before it greeted".to_owned(),
        ClientInitializeError::ExpectedInitResponse(_)
        | ClientInitializeError::ExpectedInitResult(_) => {
            "it answered the greeting with something else".to_owned()
        }
        ClientInitializeError::JsonRpcError(said) => format!("it answered: {}", said.message),
        other => other.to_string(),
    }
}

/// A tool of the server's as a function. What it says of its effects is believed of the operator's
/// servers alone.
fn function(tool: Tool, trusted: bool) -> Result<Function, String> {
    let name = FunctionName::parse(&tool.name).map_err(|error| error.detail)?;
    let says = tool.annotations.as_ref().filter(|_| trusted);
    let reads = says.and_then(|it| it.read_only_hint) == Some(true);
    let repeats = says.and_then(|it| it.idempotent_hint) == Some(true);
    let title = tool.title.unwrap_or_default();
    let function = Function {
        name,
        description: tool.description.map_or(title, |it| it.into_owned()),
        input: Value::Object(Arc::unwrap_or_clone(tool.input_schema)),
        output: tool
            .output_schema
            .map(|it| Value::Object(Arc::unwrap_or_clone(it))),
        effect: if reads { Effect::Reads } else { Effect::Acts },
        repeatable: reads || repeats,
    };
    function.check().map_err(|error| error.detail)?;
    Ok(function)
}
