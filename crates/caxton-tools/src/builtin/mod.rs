//! Tools that every tenant has and that need the world: pages, read ([`fetch`]) or used ([`browser`]).
//! Files and the canvas, which need nothing but this server, are the engine's own.

pub mod browser;
mod fetch;

use crate::http::Connector;
use browser::Browsers;
use caxton_core::TenantId;
use caxton_core::tool::{Effect, Function, FunctionName, ToolName};
use caxton_engine::port::tool::{
    Builtin, Executor, ToolAnswer, ToolCall, ToolFault, ToolFaultKind, ToolTarget,
};
use caxton_engine::port::{Answer, Http};
use fetch::Fetch;
use serde_json::Value;
use std::sync::Arc;

/// What is built in and reaches out.
#[derive(Clone, Debug)]
pub struct Builtins {
    fetch: Fetch,
    browsers: Browsers,
}

impl Builtins {
    /// `ways` is what the `Http` port was made of: browsers reach the same addresses.
    pub fn new(
        http: Arc<dyn Http>,
        ways: &crate::http::Options,
        browser: browser::Options,
    ) -> Self {
        let connector = Connector::new(Arc::clone(&ways.resolver), Some(ways.allowed.clone()));
        Self {
            fetch: Fetch::new(http),
            browsers: Browsers::new(browser, connector),
        }
    }

    async fn go(&self, call: &ToolCall) -> Result<ToolAnswer, ToolFault> {
        match call.target.name.as_str() {
            fetch::NAME => self.fetch.call(call).await,
            browser::NAME => self.browsers.call(call).await,
            other => Err(ToolFault::new(
                ToolFaultKind::NotFound,
                format!("no tool `{other}` is built in"),
            )),
        }
    }
}

impl Executor for Builtins {
    fn describe(&self, tool: Arc<ToolTarget>) -> Answer<'_, Result<Vec<Function>, ToolFault>> {
        let mut all = self.builtin().into_iter();
        let found = all.find(|it| it.name == tool.name);
        let found = found.map(|it| it.functions).ok_or_else(|| {
            ToolFault::new(ToolFaultKind::NotFound, "no tool of this name is built in")
        });
        Box::pin(std::future::ready(found))
    }

    fn call(&self, call: ToolCall) -> Answer<'_, Result<ToolAnswer, ToolFault>> {
        Box::pin(async move {
            let done = tokio::time::timeout(call.timeout, self.go(&call)).await;
            done.unwrap_or_else(|_| {
                let text = format!("not done within {:?}", call.timeout);
                Err(ToolFault::new(ToolFaultKind::Timeout, text))
            })
        })
    }

    fn builtin(&self) -> Vec<Builtin> {
        let all = [fetch::described(), browser::described()];
        all.into_iter().flatten().collect()
    }

    fn close_session(&self, tenant: &TenantId, session: &str) {
        self.browsers.close_session(tenant, session);
    }
}

/// A function that is built in.
fn function(name: &str, description: &str, input: Value, effect: Effect) -> Option<Function> {
    Some(Function {
        name: FunctionName::parse(name).ok()?,
        description: description.to_owned(),
        input,
        output: None,
        effect,
        repeatable: effect == Effect::Reads,
    })
}

/// A tool that is built in.
fn tool(name: &str, description: &str, functions: Vec<Option<Function>>) -> Option<Builtin> {
    Some(Builtin {
        name: ToolName::parse(name).ok()?,
        description: description.to_owned(),
        functions: functions.into_iter().flatten().collect(),
    })
}
