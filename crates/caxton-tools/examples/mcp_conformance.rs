//! The client that the Model Context Protocol's conformance suite runs: our executor of MCP tools, asked
//! to do what each scenario is about. The suite gives the server's address as the last argument and the
//! scenario's name in the environment.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use caxton_core::tool::define::McpPlace;
use caxton_core::tool::{Auth, Definition, Function, McpTool, ToolName};
use caxton_core::{TenantId, TraceContext};
use caxton_engine::port::Http;
use caxton_engine::port::tool::{Executor as _, ToolCall, ToolTarget};
use caxton_tools::http::{HttpOut, Options};
use caxton_tools::mcp::{self, McpTools};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::args().next_back().unwrap();
    let http: Arc<dyn Http> = Arc::new(HttpOut::new(&Options::default()).unwrap());
    let tools = McpTools::new(http, mcp::Options::default());
    let target = Arc::new(ToolTarget {
        tenant: TenantId::default_tenant(),
        name: ToolName::parse("server").unwrap(),
        definition: Some(Definition::Mcp(McpTool {
            place: McpPlace::Url(url),
            auth: Auth::None,
            only: Vec::new(),
        })),
        secret: None,
        component: None,
        revision: 1,
        // The suite's servers are on this machine.
        trusted: true,
    });
    let functions = tools.describe(Arc::clone(&target)).await.unwrap();
    for function in functions {
        let answer = tools.call(call(&target, function)).await;
        println!("{answer:?}");
    }
}

fn call(target: &Arc<ToolTarget>, function: Function) -> ToolCall {
    let arguments = arguments(&function.input);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    ToolCall {
        target: Arc::clone(target),
        function: Arc::new(function),
        arguments,
        key: "key-1".to_owned(),
        session: "session-1".to_owned(),
        timeout: Duration::from_secs(20),
        bytes_max: 64 << 10,
        hosts: Arc::default(),
        trace: TraceContext::parse(trace).unwrap(),
    }
}

/// Something for each argument that a function needs.
fn arguments(schema: &Value) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let some = |schema: &Value| match schema.get("type").and_then(Value::as_str) {
        Some("number" | "integer") => json!(5),
        Some("boolean") => json!(true),
        _ => json!("text"),
    };
    let given: Map<String, Value> = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.clone(), some(schema)))
        .collect();
    Value::Object(given)
}
