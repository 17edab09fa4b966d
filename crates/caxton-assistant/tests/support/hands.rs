//! Tools that do what a test says.

use caxton_core::tool::define::McpPlace;
use caxton_core::tool::{
    Definition, Effect, Function, FunctionName, HttpFunction, HttpTool, McpTool, ToolName,
};
use caxton_engine::port::Answer;
use caxton_engine::port::tool::{Executor, ToolAnswer, ToolCall, ToolFault, ToolTarget};
use caxton_engine::tools::NewTool;
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
