//! MCP tools: servers of the Model Context Protocol as sources of functions, over streamable HTTP
//! ([`http`], through the one way out, so that the egress policy holds for them too) or as programs of
//! the operator's ([`program`]). Revisions 2025-11-25 and 2026-07-28 are spoken, and older ones that
//! begin with `initialize`.
//!
//! A server is not believed: what it says of its functions' effects is its own word, what it asks for
//! (sampling, elicitation, roots) is refused, and how much it may say is bounded.

mod answer;
mod connection;
mod greeting;
mod handler;
mod http;
mod pool;
pub mod program;
mod sse;

pub use program::Program;

use crate::outward::check_host;
use crate::redact::Redaction;
use caxton_core::TenantId;
use caxton_core::tool::ToolName;
use caxton_core::tool::define::McpPlace;
use caxton_core::tool::{Definition, Effect, Function, McpTool};
use caxton_engine::port::tool::{
    Executor, ToolAnswer, ToolCall, ToolFault, ToolFaultKind, ToolTarget,
};
use caxton_engine::port::{Answer, Http};
use connection::Connection;
use pool::Pool;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What the executor is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// Programs that may be run, by the names tools give them.
    pub programs: BTreeMap<String, Program>,
    /// Connections that are kept, programs among them.
    pub connections_max: usize,
    /// Of one tenant.
    pub connections_per_tenant_max: usize,
    /// A connection that nobody used for so long goes.
    pub idle_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            programs: BTreeMap::new(),
            connections_max: 256,
            connections_per_tenant_max: 16,
            idle_timeout: Duration::from_secs(600),
        }
    }
}

/// Carries calls of MCP tools out.
#[derive(Clone, Debug)]
pub struct McpTools {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: Arc<dyn Http>,
    programs: BTreeMap<String, Program>,
    pool: Pool,
}

impl McpTools {
    pub fn new(http: Arc<dyn Http>, options: Options) -> Self {
        let inner = Inner {
            http,
            pool: Pool::new(&options),
            programs: options.programs,
        };
        Self {
            inner: Arc::new(inner),
        }
    }
}

impl Inner {
    /// A connection, and whether it was there before.
    async fn connection(
        &self,
        target: &Arc<ToolTarget>,
    ) -> Result<(Arc<Connection>, bool, pool::Held), ToolFault> {
        let slot = self.pool.slot(target)?;
        let mut held = slot.lock().await;
        if let Some(found) = held.as_ref().filter(|it| it.is_open()) {
            return Ok((Arc::clone(found), true, slot.hold()));
        }
        let connection = match &defined(target)?.place {
            McpPlace::Url(url) => Connection::over_http(&self.http, target, url).await?,
            McpPlace::Program(name) => {
                let program = self.programs.get(name).filter(|_| target.trusted);
                let program = program.ok_or_else(|| {
                    let text =
                        format!("no program is called `{name}` in this server's configuration");
                    ToolFault::new(ToolFaultKind::Unavailable, text)
                })?;
                Connection::over_program(program, name).await?
            }
        };
        let connection = Arc::new(connection);
        *held = Some(Arc::clone(&connection));
        drop(held);
        Ok((connection, false, slot.hold()))
    }

    async fn describe(&self, target: &Arc<ToolTarget>) -> Result<Vec<Function>, ToolFault> {
        let tool = defined(target)?;
        let (connection, was_kept, held) = self.connection(target).await?;
        let listed = connection.list(target).await;
        drop(held);
        let mut functions = match listed {
            Err(_) if was_kept && !connection.is_open() => {
                let (connection, _, _held) = self.connection(target).await?;
                connection.list(target).await?
            }
            other => other?,
        };
        functions.retain(|it| tool.only.is_empty() || tool.only.contains(&it.name));
        Ok(functions)
    }

    async fn go(&self, call: &ToolCall) -> Result<ToolAnswer, ToolFault> {
        let tool = defined(&call.target)?;
        if let McpPlace::Url(url) = &tool.place {
            let url = Url::parse(url).map_err(|_| {
                ToolFault::new(ToolFaultKind::Malformed, "the tool's address is no URL")
            })?;
            check_host(&call.hosts, &url)?;
        }
        if !tool.only.is_empty() && !tool.only.contains(&call.function.name) {
            let text = format!("the tool does not offer `{}`", call.function.name);
            return Err(ToolFault::new(ToolFaultKind::NotFound, text));
        }
        let (connection, was_kept, held) = self.connection(&call.target).await?;
        let done = connection.call(call).await;
        drop(held);
        // One that broke while it was kept says nothing of the server. What may have happened and must
        // not happen twice is not asked for again.
        let may_repeat = call.function.repeatable || call.function.effect == Effect::Reads;
        match done {
            Err(fault)
                if was_kept
                    && may_repeat
                    && fault.kind == ToolFaultKind::Unavailable
                    && !connection.is_open() =>
            {
                let (connection, _, _held) = self.connection(&call.target).await?;
                connection.call(call).await
            }
            done => done,
        }
    }
}

/// What the tool is; every caller has checked its kind.
fn defined(target: &ToolTarget) -> Result<&McpTool, ToolFault> {
    match &target.definition {
        Some(Definition::Mcp(tool)) => Ok(tool),
        _ => Err(ToolFault::new(
            ToolFaultKind::Internal,
            "this is no MCP tool",
        )),
    }
}

impl Executor for McpTools {
    fn describe(&self, tool: Arc<ToolTarget>) -> Answer<'_, Result<Vec<Function>, ToolFault>> {
        Box::pin(async move {
            let asked = self.inner.describe(&tool);
            let done = tokio::time::timeout(connection::DESCRIBE_TIMEOUT, asked).await;
            let done = done.unwrap_or_else(|_| Err(late(connection::DESCRIBE_TIMEOUT)));
            let redaction = Redaction::of(tool.secret.as_ref());
            let functions = done.map_err(|it| redaction.fault(it))?.into_iter();
            Ok(functions.map(|it| redaction.function(it)).collect())
        })
    }

    fn call(&self, call: ToolCall) -> Answer<'_, Result<ToolAnswer, ToolFault>> {
        Box::pin(async move {
            let done = tokio::time::timeout(call.timeout, self.inner.go(&call)).await;
            let done = done.unwrap_or_else(|_| Err(late(call.timeout)));
            let redaction = Redaction::of(call.target.secret.as_ref());
            done.map(|it| redaction.answer(it))
                .map_err(|it| redaction.fault(it))
        })
    }

    fn forget(&self, tenant: &TenantId, name: &ToolName) {
        self.inner.pool.forget(tenant, name);
    }
}

fn late(timeout: Duration) -> ToolFault {
    let text = format!("the MCP server did not answer within {timeout:?}");
    ToolFault::new(ToolFaultKind::Timeout, text)
}

#[cfg(test)]
mod tests;
