//! HTTP tools: endpoints of a tenant's own (or of the operator's) as functions. A call becomes one
//! request, made as the function says ([`request`]), and its answer parts that a model can read
//! ([`answer`]). OpenAPI documents become functions in [`openapi`].
//!
//! Arguments are a model's, and a model may do what a page told it to: no argument can change which
//! endpoint is called, and the tool's secret goes to the tool's own origin alone.

mod answer;
pub mod openapi;
mod request;

pub(crate) use answer::{is_text, media_type};

use crate::outward::{Outward, trust};
use crate::redact::Redaction;
use caxton_core::error::{Code, Error};
use caxton_core::tool::{Definition, Effect, Function, HttpFunction, HttpTool};
use caxton_engine::port::tool::{
    Described, Executor, ToolAnswer, ToolCall, ToolFault, ToolFaultKind, ToolTarget,
};
use caxton_engine::port::{Answer, Http};
use std::sync::Arc;

/// Redirects followed of what only reads.
pub const REDIRECTS_MAX: u32 = 3;

/// Carries calls of HTTP tools out.
#[derive(Clone, Debug)]
pub struct HttpTools {
    http: Arc<dyn Http>,
}

impl HttpTools {
    pub fn new(http: Arc<dyn Http>) -> Self {
        Self { http }
    }

    async fn go(&self, call: &ToolCall) -> Result<ToolAnswer, ToolFault> {
        let tool = defined(&call.target)?;
        let name = &call.function.name;
        let found = tool.functions.iter().find(|it| it.function.name == *name);
        let function = found.ok_or_else(|| {
            ToolFault::new(
                ToolFaultKind::NotFound,
                format!("the tool has no function `{name}`"),
            )
        })?;
        let ask = request::build(tool, function, call)?;
        let way = Outward {
            http: &*self.http,
            trust: &trust(&call.target),
            hosts: &call.hosts,
        };
        let (_, got) = way.send(ask).await?;
        answer::read(got, function, call).await
    }
}

/// What the tool is; every caller has checked its kind.
fn defined(target: &ToolTarget) -> Result<&HttpTool, ToolFault> {
    match &target.definition {
        Some(Definition::Http(tool)) => Ok(tool),
        _ => Err(ToolFault::new(
            ToolFaultKind::Internal,
            "this is no HTTP tool",
        )),
    }
}

/// What a method promises, where the definition is silent (RFC 9110, 9.2.1).
fn described(it: &HttpFunction) -> Function {
    let mut function = it.function.clone();
    if matches!(it.method.as_str(), "GET" | "HEAD") && function.effect == Effect::Reads {
        function.repeatable = true;
    }
    function
}

impl Executor for HttpTools {
    fn import(&self, of: &Described<'_>) -> Result<HttpTool, Error> {
        let imported = openapi::import(of.document, of.only)?;
        for left in &imported.left_out {
            tracing::debug!(left, "left out of an OpenAPI document");
        }
        let base_url = of.base_url.map(str::to_owned).or(imported.base_url);
        let base_url = base_url.ok_or_else(|| {
            let detail = "the document names no whole address of a server; give baseUrl";
            Error::new(Code::ToolMalformed, detail)
        })?;
        Ok(HttpTool {
            base_url,
            auth: of.auth.clone(),
            functions: imported.functions,
        })
    }

    fn describe(&self, tool: Arc<ToolTarget>) -> Answer<'_, Result<Vec<Function>, ToolFault>> {
        let found = defined(&tool).map(|tool| tool.functions.iter().map(described).collect());
        Box::pin(std::future::ready(found))
    }

    fn call(&self, call: ToolCall) -> Answer<'_, Result<ToolAnswer, ToolFault>> {
        Box::pin(async move {
            let done = tokio::time::timeout(call.timeout, self.go(&call)).await;
            let done = done.unwrap_or_else(|_| {
                let text = format!("no whole answer within {:?}", call.timeout);
                Err(ToolFault::new(ToolFaultKind::Timeout, text))
            });
            let redaction = Redaction::of(call.target.secret.as_ref());
            done.map(|it| redaction.answer(it))
                .map_err(|it| redaction.fault(it))
        })
    }
}

#[cfg(test)]
mod tests;
