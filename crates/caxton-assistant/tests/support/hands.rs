//! Tools that do what a test says, and what is written of their calls.

use super::{Play, World, call, ctx, text};
use caxton_core::TenantId;
use caxton_core::audit::Outcome;
use caxton_core::error::Code;
use caxton_core::model::Part;
use caxton_core::tool::define::McpPlace;
use caxton_core::tool::permit::Pattern;
use caxton_core::tool::{
    Definition, Effect, Function, FunctionName, HttpFunction, HttpTool, McpTool, Rules, ToolName,
};
use caxton_engine::audit;
use caxton_engine::port::Answer;
use caxton_engine::port::store::PageRequest;
use caxton_engine::port::tool::{Executor, ToolAnswer, ToolCall, ToolFault, ToolTarget};
use caxton_engine::tools::{
    Approval, ApprovalState, CallFilter, Decision, NewTool, ToolCallRecord,
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

type Hand = dyn Fn(ToolCall) -> BoxFuture<'static, Result<ToolAnswer, ToolFault>> + Send + Sync;

/// An executor for HTTP and MCP tools alike.
pub struct Hands {
    hand: Box<Hand>,
    /// What MCP servers say that they offer.
    pub offers: Mutex<Vec<Function>>,
    /// Function and arguments of each call that was made.
    pub made: Mutex<Vec<(String, Value)>>,
    /// Workspaces of which nothing is wanted any more.
    pub closed: Mutex<Vec<String>>,
}

impl Default for Hands {
    fn default() -> Self {
        Self::new(|_| Box::pin(async { Ok(ToolAnswer::text("done")) }))
    }
}

impl Hands {
    pub fn new(
        hand: impl Fn(ToolCall) -> BoxFuture<'static, Result<ToolAnswer, ToolFault>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            hand: Box::new(hand),
            offers: Mutex::default(),
            made: Mutex::default(),
            closed: Mutex::default(),
        }
    }

    pub fn made(&self) -> Vec<String> {
        self.made.lock().iter().map(|(it, _)| it.clone()).collect()
    }
}

impl fmt::Debug for Hands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hands")
    }
}

impl Executor for Hands {
    fn describe(&self, _tool: Arc<ToolTarget>) -> Answer<'_, Result<Vec<Function>, ToolFault>> {
        let offers = self.offers.lock().clone();
        Box::pin(std::future::ready(Ok(offers)))
    }

    fn call(&self, call: ToolCall) -> Answer<'_, Result<ToolAnswer, ToolFault>> {
        let named = format!("{}.{}", call.target.name, call.function.name);
        self.made.lock().push((named, call.arguments.clone()));
        (self.hand)(call)
    }

    fn close_session(&self, _tenant: &TenantId, session: &str) {
        self.closed.lock().push(session.to_owned());
    }
}

pub fn function(name: &str, effect: Effect) -> Function {
    Function {
        name: FunctionName::parse(name).unwrap(),
        description: format!("Does {name}."),
        input: json!({
            "type": "object",
            "properties": {
                "to": {"type": "string"},
                "password": {"type": "string", "format": "password"},
            },
        }),
        output: None,
        effect,
        repeatable: false,
    }
}

/// A tool of these functions: an HTTP tool, or an MCP server.
pub fn tool(name: &str, functions: &[Function], is_mcp: bool) -> NewTool {
    let http = |function: &Function| HttpFunction {
        function: function.clone(),
        method: "POST".to_owned(),
        path: format!("/{}", function.name),
        places: Vec::new(),
        headers: Vec::new(),
    };
    let url = "https://tools.example.com".to_owned();
    NewTool {
        name: ToolName::parse(name).unwrap(),
        description: String::new(),
        definition: match is_mcp {
            true => Definition::Mcp(McpTool {
                place: McpPlace::Url(url),
                auth: caxton_core::tool::Auth::None,
                only: Vec::new(),
            }),
            false => Definition::Http(HttpTool {
                base_url: url,
                auth: caxton_core::tool::Auth::None,
                functions: functions.iter().map(http).collect(),
            }),
        },
        secret: None,
        component: None,
        price_micros: 0,
    }
}

/// A mail tool that reads and sends.
pub async fn mail(world: &World) {
    let functions = [
        function("read", Effect::Reads),
        function("send", Effect::Acts),
    ];
    let tool = tool("mail", &functions, false);
    world.app.tool_register(&ctx(), tool).await.unwrap();
}

pub fn rules(allow: &[&str], ask: &[&str], deny: &[&str]) -> Rules {
    let read = |list: &[&str]| list.iter().map(|it| Pattern::parse(it).unwrap()).collect();
    Rules {
        allow: read(allow),
        ask: read(ask),
        deny: read(deny),
        sandbox: false,
    }
}

pub async fn calls(world: &World) -> Vec<ToolCallRecord> {
    let page = PageRequest::first(100);
    let filter = CallFilter::default();
    let found = world.app.tool_calls(&ctx(), &filter, &page).await;
    // In the order they were made.
    let mut rows = found.unwrap().rows;
    rows.reverse();
    rows
}

pub async fn approvals(world: &World, state: ApprovalState) -> Vec<Approval> {
    let page = PageRequest::first(100);
    let found = world.app.approval_list(&ctx(), Some(state), &page).await;
    found.unwrap().rows
}

/// Waits until somebody is asked.
pub async fn pending(world: &World) -> Approval {
    loop {
        if let Some(asked) = approvals(world, ApprovalState::Pending).await.pop() {
            return asked;
        }
        tokio::task::yield_now().await;
    }
}

pub async fn decide(world: &World, approval: &Approval, approve: bool) -> Result<Approval, Code> {
    let decision = Decision {
        approve,
        note: "so I say".to_owned(),
        digest: Some(approval.digest),
    };
    let decided = world
        .app
        .approval_decide(&ctx(), &approval.id, decision)
        .await;
    decided.map_err(|error| error.code)
}

pub async fn denials(world: &World) -> Vec<(String, String)> {
    let page = PageRequest::first(100);
    let filter = audit::AuditFilter::default();
    let rows = world.app.audit_list(&ctx(), false, &filter, &page).await;
    let rows = rows.unwrap().rows.into_iter();
    let denied = rows.filter(|row| row.entry.event.outcome == Outcome::Denied);
    denied
        .map(|row| (row.entry.event.actor, row.entry.event.target))
        .collect()
}

/// A model that does whatever the last thing it read tells it: `call NAME`.
pub fn obedient(asked: &caxton_engine::port::model::ModelCall) -> Vec<Play> {
    let last = asked.request.messages.last().unwrap();
    let text_of = |part: &Part| match part {
        Part::Text { text } => text.clone(),
        Part::ToolResult { parts, .. } => parts
            .iter()
            .map(|it| match it {
                Part::Text { text } => text.clone(),
                _ => String::new(),
            })
            .collect(),
        _ => String::new(),
    };
    let said: String = last.parts.iter().map(text_of).collect();
    match said.split_once("call ") {
        Some((_, name)) => {
            let name = name.split_whitespace().next().unwrap();
            let arguments = match name {
                "files_read" => json!({"path": "note.txt"}),
                "ask_liar" => json!({"message": "what now?"}),
                _ => json!({"to": "eve"}),
            };
            vec![call("c", name, arguments)]
        }
        None => vec![text("done")],
    }
}
