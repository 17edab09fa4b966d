//! A wasm agent that calls tools of all five kinds, each through its own adapter: what is built in, an
//! HTTP endpoint, a program that speaks the Model Context Protocol, a component, and another agent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bytes::Bytes;
use caxton_core::grant::Principal;
use caxton_core::tool::define::McpPlace;
use caxton_core::tool::{
    Auth, Definition, Effect, Function, FunctionName, HttpFunction, HttpTool, McpTool, ToolKind,
    ToolName,
};
use caxton_core::{Acl, AgentId, Digest, Manifest, Performative, TenantId, TraceContext};
use caxton_engine::app::Package;
use caxton_engine::port::http::Http;
use caxton_engine::port::store::PageRequest;
use caxton_engine::port::{MemoryStore, SystemClock, SystemEntropy};
use caxton_engine::tools::{CallFilter, NewTool, OperatorTool, ToolOutcome};
use caxton_engine::{App, OpCtx, Options, Ports};
use caxton_testkit::server::Example;
use caxton_tools::http::HttpOut;
use caxton_tools::http_tool::HttpTools;
use caxton_tools::mcp::{self, McpTools, Program};
use caxton_wasm::{ToolOptions, WasmRuntime};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// An MCP server in a shell: one function, which answers with a fixed text.
const MCP_SERVER: &str = r#"while read -r line; do
  id=${line#*'"id":'}; id=${id%%[,\}]*}
  case "$line" in
    *server/discover*) echo '{"jsonrpc":"2.0","id":'$id',"error":{"code":-32601,"message":"no"}}' ;;
    *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}' ;;
    *tools/list*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[{"name":"greet","description":"Greets.","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}]}}' ;;
    *tools/call*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[{"type":"text","text":"good day from a program"}]}}' ;;
  esac
done"#;

/// Answers one connection after the other with a text, whatever is asked.
async fn endpoint(listener: TcpListener) {
    loop {
        let Ok((mut socket, _)) = listener.accept().await else {
            return;
        };
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && socket.read_buf(&mut head).await.unwrap_or(0) > 0 {}
        let text = "good day from an endpoint";
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        );
        let _ = socket.write_all(answer.as_bytes()).await;
    }
}

fn operators(port: u16) -> Vec<OperatorTool> {
    let named = |name: &str, definition| OperatorTool {
        name: ToolName::parse(name).unwrap(),
        description: String::new(),
        definition,
        secret: None,
    };
    let greet = HttpFunction {
        function: Function {
            name: FunctionName::parse("greet").unwrap(),
            description: "Greets.".to_owned(),
            input: json!({"type": "object"}),
            output: None,
            effect: Effect::Reads,
            repeatable: true,
        },
        method: "GET".to_owned(),
        path: "/greet".to_owned(),
        places: Vec::new(),
        headers: Vec::new(),
    };
    let endpoint = HttpTool {
        base_url: format!("http://127.0.0.1:{port}"),
        auth: Auth::None,
        functions: vec![greet],
    };
    let program = McpTool {
        place: McpPlace::Program("greeter".to_owned()),
        auth: Auth::None,
        only: Vec::new(),
    };
    vec![
        named("endpoint", Definition::Http(endpoint)),
        named("program", Definition::Mcp(program)),
    ]
}

struct World {
    app: App,
    ctx: OpCtx,
}

impl World {
    async fn new(tools: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(endpoint(listener));
        let sandbox = WasmRuntime::new(caxton_wasm::Options {
            instances_live_max: 64,
            ..caxton_wasm::Options::default()
        })
        .unwrap();
        let components = sandbox.tools(ToolOptions::default()).unwrap();
        let mut ports = Ports::new(
            Arc::new(MemoryStore::default()),
            Arc::new(SystemClock),
            Arc::new(SystemEntropy),
            Arc::new(sandbox),
        );
        let http = HttpOut::new(&caxton_tools::http::Options::default()).unwrap();
        let http: Arc<dyn Http> = Arc::new(http);
        let mut greeter = Program::new("/bin/sh");
        greeter.args = vec!["-c".to_owned(), MCP_SERVER.to_owned()];
        let programs = mcp::Options {
            programs: [("greeter".to_owned(), greeter)].into(),
            ..mcp::Options::default()
        };
        ports.tools.wasm = Arc::new(components);
        ports.tools.http = Arc::new(HttpTools::new(Arc::clone(&http)));
        ports.tools.mcp = Arc::new(McpTools::new(http, programs));
        let mut options = Options::default();
        options.tools.operators = operators(port);
        let app = App::start(ports, options).await.unwrap();
        let trace = TraceContext {
            trace_id: [7; 16],
            span_id: [8; 8],
            sampled: true,
        };
        let tenant = TenantId::default_tenant();
        let ctx = OpCtx::new(tenant, Principal::platform_admin(), trace);
        let world = Self { app, ctx };
        world.deploy("echo", "").await;
        world.deploy("reader", tools).await;
        world.register().await;
        world
    }

    async fn deploy(&self, name: &str, tools: &str) {
        let manifest = format!("name = \"{name}\"\n[tools]\n{tools}");
        let package = Package {
            manifest: Manifest::parse(&manifest).unwrap(),
            component: Some(Example::load(name).component),
        };
        let deployed = self.app.agent_deploy(&self.ctx, package, true).await;
        deployed.unwrap();
    }

    async fn register(&self) {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../examples/wordcount/wordcount.wasm"
        );
        let component = Bytes::from(std::fs::read(path).unwrap());
        let tool = NewTool {
            name: ToolName::parse("wordcount").unwrap(),
            description: String::new(),
            definition: Definition::Wasm {
                component: Digest::of(&component),
            },
            secret: None,
            component: Some(component),
            price_micros: 0,
        };
        self.app.tool_register(&self.ctx, tool).await.unwrap();
    }

    async fn read(&self, text: &str) -> (Performative, String) {
        let reader = AgentId::parse("reader", &self.ctx.tenant).unwrap();
        let content = Bytes::copy_from_slice(text.as_bytes());
        let acl = Acl::new(Performative::Request).to(reader).content(content);
        let sent = self.app.message_send(&self.ctx, acl, Some(PATIENCE)).await;
        let reply = sent.unwrap().reply.expect("an answer");
        let text = String::from_utf8(reply.acl.content.to_vec()).unwrap();
        (reply.acl.performative, text)
    }
}

#[tokio::test]
async fn an_agent_calls_tools_of_every_kind() {
    let tools = r#"allow = ["files", "endpoint", "program", "wordcount", "agent:echo"]"#;
    let world = World::new(tools).await;
    for (call, expected) in [
        ("endpoint.greet", "good day from an endpoint"),
        ("program.greet", "good day from a program"),
        (
            "wordcount.count\n{\"text\": \"a b\"}",
            "2 words, 1 lines, 3 characters",
        ),
        ("agent:echo\n{\"message\": \"good day\"}", "good day"),
    ] {
        let (act, text) = world.read(&format!("call {call}")).await;
        assert_eq!(act, Performative::Inform, "{call}: {text}");
        assert!(text.contains(expected), "{call}: {text}");
    }
    let write = "call files.write\n{\"path\": \"a.txt\", \"content\": \"kept\"}";
    let (act, text) = world.read(write).await;
    assert_eq!(act, Performative::Inform, "{text}");
    let (_, text) = world.read("call files.read\n{\"path\": \"a.txt\"}").await;
    assert!(text.contains("kept"), "{text}");

    // All of them stand in the log, in one trace, the newest first.
    let (all, page) = (CallFilter::default(), PageRequest::first(100));
    let calls = world.app.tool_calls(&world.ctx, &all, &page).await.unwrap();
    let kinds: Vec<ToolKind> = calls.rows.iter().map(|call| call.kind).collect();
    let expected = [
        ToolKind::Builtin,
        ToolKind::Builtin,
        ToolKind::Agent,
        ToolKind::Wasm,
        ToolKind::Mcp,
        ToolKind::Http,
    ];
    assert_eq!(kinds, expected);
    for call in &calls.rows {
        assert_eq!(call.outcome, ToolOutcome::Ok, "{call:?}");
        assert_eq!(call.trace_id, "07".repeat(16));
    }
    world.app.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn an_agent_calls_none_that_it_was_not_granted() {
    let world = World::new("allow = [\"wordcount\"]").await;
    for call in [
        "endpoint.greet",
        "program.greet",
        "agent:echo\n{\"message\": \"a\"}",
        "files.list",
    ] {
        let (act, text) = world.read(&format!("call {call}")).await;
        assert_eq!(act, Performative::Failure, "{call}: {text}");
        assert!(text.contains("CX-8006"), "{call}: {text}");
    }
    let (act, _) = world.read("one two").await;
    assert_eq!(act, Performative::Inform);
    world.app.stop(Duration::ZERO).await;
}
