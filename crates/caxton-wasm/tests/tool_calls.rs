//! Agents in the sandbox that call tools in the sandbox, through a whole engine: what they get, what
//! they are refused, and that nothing a tool does harms whoever called it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use bytes::Bytes;
use caxton_core::error::{Code, Error};
use caxton_core::grant::Principal;
use caxton_core::tool::{Definition, ToolKind, ToolName};
use caxton_core::{Acl, Digest, Manifest, Message, Performative, TenantId, TraceContext};
use caxton_engine::app::Package;
use caxton_engine::port::store::PageRequest;
use caxton_engine::port::{MemoryStore, SystemClock, SystemEntropy};
use caxton_engine::tools::{CallFilter, NewTool, ToolCallRecord, ToolOutcome};
use caxton_engine::{App, OpCtx, Ports};
use caxton_wasm::{Options, ToolOptions, WasmRuntime};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use support::{agent_id, example};

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    app: App,
    ctx: OpCtx,
}

impl World {
    /// An engine with both tools registered and a reader with this `[tools]`.
    async fn with_reader(tools: &str) -> Self {
        let sandbox = WasmRuntime::new(Options {
            instances_live_max: 64,
            ..Options::default()
        })
        .unwrap();
        let tools_of_it = sandbox.tools(ToolOptions::default()).unwrap();
        let mut ports = Ports::new(
            Arc::new(MemoryStore::default()),
            Arc::new(SystemClock),
            Arc::new(SystemEntropy),
            Arc::new(sandbox),
        );
        ports.tools.wasm = Arc::new(tools_of_it);
        let app = App::start(ports, caxton_engine::Options::default())
            .await
            .unwrap();
        let trace = TraceContext {
            trace_id: [7; 16],
            span_id: [8; 8],
            sampled: true,
        };
        let tenant = TenantId::default_tenant();
        let ctx = OpCtx::new(tenant, Principal::platform_admin(), trace);
        let world = Self { app, ctx };
        for name in ["wordcount", "unruly"] {
            world.register(name).await.unwrap();
        }
        let manifest =
            format!("name = \"reader\"\n[delivery]\ndurability = \"transient\"\n[tools]\n{tools}");
        let package = Package {
            manifest: Manifest::parse(&manifest).unwrap(),
            component: Some(example("reader").into()),
        };
        world
            .app
            .agent_deploy(&world.ctx, package, true)
            .await
            .unwrap();
        world
    }

    async fn register(&self, name: &str) -> Result<(), Error> {
        let component = Bytes::from(example(name));
        let tool = NewTool {
            name: ToolName::parse(name).unwrap(),
            description: String::new(),
            definition: Definition::Wasm {
                component: Digest(Sha256::digest(&component).into()),
            },
            secret: None,
            component: Some(component),
            price_micros: 0,
        };
        self.app.tool_register(&self.ctx, tool).await.map(drop)
    }

    async fn ask(&self, act: Performative, text: &str) -> Arc<Message> {
        let content = Bytes::copy_from_slice(text.as_bytes());
        let acl = Acl::new(act).to(agent_id("reader")).content(content);
        let sent = self.app.message_send(&self.ctx, acl, Some(PATIENCE)).await;
        sent.unwrap().reply.expect("an answer")
    }

    /// The reader's answer to a text: act and content.
    async fn read(&self, text: &str) -> (Performative, String) {
        said(&*self.ask(Performative::Request, text).await)
    }

    /// Asks for a function, and the agent must answer with a failure of this code and live on.
    async fn fails(&self, call: &str, code: Code) -> String {
        let (act, text) = self.read(&format!("call {call}")).await;
        assert_eq!(act, Performative::Failure, "{call}: {text}");
        assert!(text.contains(code.as_str()), "{call}: {text}");
        text
    }

    async fn calls(&self) -> Vec<ToolCallRecord> {
        let (all, page) = (CallFilter::default(), PageRequest::first(100));
        let calls = self.app.tool_calls(&self.ctx, &all, &page);
        // In the order they were made.
        let mut rows = calls.await.unwrap().rows;
        rows.reverse();
        rows
    }

    async fn stop(self) {
        self.app.stop(Duration::ZERO).await;
    }
}

fn said(message: &Message) -> (Performative, String) {
    let text = String::from_utf8(message.acl.content.to_vec()).unwrap();
    (message.acl.performative, text)
}

#[tokio::test]
async fn an_agent_calls_a_tool_and_the_call_is_in_the_messages_trace() {
    let world = World::with_reader("allow = [\"wordcount\"]").await;
    let answer = world
        .ask(Performative::Request, "to be or\nnot \"to\" be")
        .await;
    let counted = "6 words, 2 lines, 20 characters".to_owned();
    assert_eq!(said(&answer), (Performative::Inform, counted));
    let [call] = world.calls().await.try_into().unwrap();
    assert_eq!(call.tool.to_string(), "wordcount.count");
    assert_eq!(call.kind, ToolKind::Wasm);
    assert_eq!(call.outcome, ToolOutcome::Ok);
    assert_eq!(call.agent.unwrap().as_str(), "reader");
    assert_eq!(call.arguments["text"], "to be or\nnot \"to\" be");
    assert_eq!(call.trace_id, "07".repeat(16));
    assert_eq!(call.trace_id, answer.trace.trace_id_hex());
    world.stop().await;
}

#[tokio::test]
async fn an_agent_is_told_of_what_it_may_call_and_of_nothing_else() {
    // `*` allows what only looks: the unruly tool says of itself that it acts.
    let world = World::with_reader("allow = [\"*\"]").await;
    let (_, listed) = said(&*world.ask(Performative::QueryRef, "").await);
    let line = "wordcount.count: Counts the words, lines and characters of a text.";
    assert!(listed.lines().any(|it| it == line), "{listed}");
    assert!(!listed.contains("unruly"), "{listed}");
    world.fails("unruly.look", Code::ToolDenied).await;
    world.stop().await;
}

#[tokio::test]
async fn what_is_not_granted_is_an_error_value_and_the_agent_lives() {
    let world = World::with_reader("allow = [\"wordcount\"]\ndeny = [\"unruly\"]").await;
    world.fails("unruly.look", Code::ToolDenied).await;
    world.fails("agent:reader", Code::ToolDenied).await;
    for name in ["nothing.at-all", "wordcount.other"] {
        let (act, text) = world.read(&format!("call {name}")).await;
        assert_eq!(act, Performative::Failure, "{name}: {text}");
        assert!(text.contains("CX-800"), "{name}: {text}");
    }
    let (act, _) = world.read("one two").await;
    assert_eq!(act, Performative::Inform);
    let denied = world.calls().await;
    let denied: Vec<_> = denied
        .iter()
        .filter(|call| call.outcome == ToolOutcome::Denied)
        .map(|call| call.tool.to_string())
        .collect();
    assert!(denied.contains(&"unruly.look".to_owned()), "{denied:?}");
    world.stop().await;
}

#[tokio::test]
async fn arguments_and_names_that_are_wrong_are_error_values() {
    let world = World::with_reader("allow = [\"wordcount\"]").await;
    for arguments in ["", "[]", "\"text\"", "{", "{\"text\": 1}", "{}"] {
        let call = format!("wordcount.count\n{arguments}");
        world.fails(&call, Code::ToolArguments).await;
    }
    for name in ["", "Wordcount.count", "wordcount.co unt", "agent:", "🙂"] {
        let (act, text) = world.read(&format!("call {name}")).await;
        assert_eq!(act, Performative::Failure, "{name}");
        assert!(text.starts_with("CX-"), "{name}: {text}");
    }
    assert_eq!(world.read("a b").await.0, Performative::Inform);
    world.stop().await;
}

#[tokio::test]
async fn a_tool_that_traps_harms_nobody() {
    let world = World::with_reader("allow = [\"wordcount\", \"unruly\"]").await;
    let text = world.fails("unruly.panic", Code::ToolFailed).await;
    assert!(text.contains("as announced"), "{text}");
    world
        .fails("unruly.babble", Code::ToolAnswerMalformed)
        .await;
    world
        .fails(
            "unruly.flood\n{\"bytes\": 20000000}",
            Code::ToolAnswerTooLarge,
        )
        .await;
    // A failure in the tool's own terms is its own words.
    let refused = world.read("call unruly.refuse").await;
    assert_eq!(refused, (Performative::Failure, "I will not".to_owned()));
    assert_eq!(world.read("a b").await.0, Performative::Inform);
    // Each was called once: no message was handled again.
    let calls = world.calls().await;
    let called: Vec<_> = calls.iter().map(|call| call.tool.to_string()).collect();
    assert_eq!(
        called,
        [
            "unruly.panic",
            "unruly.babble",
            "unruly.flood",
            "unruly.refuse",
            "wordcount.count"
        ]
    );
    world.stop().await;
}

#[tokio::test]
async fn a_tool_that_never_answers_is_given_up_after_the_agents_time() {
    // Far less than it takes to burn all the fuel that a call has.
    let tools = "allow = [\"unruly\", \"wordcount\"]\ntimeout_ms_max = 5";
    let world = World::with_reader(tools).await;
    world.fails("unruly.spin", Code::ToolTimeout).await;
    world.stop().await;
}

#[tokio::test]
async fn a_long_result_is_cut_and_said_to_be() {
    let tools = "allow = [\"unruly\"]\nresult_bytes_max = 1000";
    let world = World::with_reader(tools).await;
    let (act, text) = world.read("call unruly.flood\n{\"bytes\": 5000}").await;
    assert_eq!(act, Performative::Inform);
    assert!(text.starts_with(&"x".repeat(900)), "{}", text.len());
    assert!(text.len() < 1_200, "{} bytes", text.len());
    assert!(
        !text.ends_with('x'),
        "it does not say that it is cut: {text}"
    );
    world.stop().await;
}

#[tokio::test]
async fn calls_are_counted_for_each_message() {
    let world = World::with_reader("allow = [\"wordcount\"]\ncalls_max = 1").await;
    for _ in 0..3 {
        assert_eq!(world.read("a b").await.0, Performative::Inform);
    }
    world.stop().await;
    let world = World::with_reader("allow = [\"wordcount\"]\ncalls_max = 3").await;
    let (act, text) = world
        .read("call 3 wordcount.count\n{\"text\": \"a\"}")
        .await;
    assert_eq!(act, Performative::Inform, "{text}");
    // The fourth of one message is not made; the next message has three again.
    for _ in 0..2 {
        let call = "5 wordcount.count\n{\"text\": \"a\"}";
        world.fails(call, Code::ToolLimit).await;
    }
    assert_eq!(world.calls().await.len(), 9);
    world.stop().await;
    let world = World::with_reader("allow = [\"wordcount\"]\ncalls_max = 0").await;
    world
        .fails("wordcount.count\n{\"text\": \"a\"}", Code::ToolLimit)
        .await;
    world.stop().await;
}

#[tokio::test]
async fn in_sandbox_mode_calls_are_shown_and_none_is_made() {
    let tools = "allow = [\"wordcount\", \"unruly\"]\nsandbox = true";
    let world = World::with_reader(tools).await;
    // Were it made, it would fail.
    let (act, text) = world.read("call unruly.panic").await;
    assert_eq!(act, Performative::Inform, "{text}");
    let [call] = world.calls().await.try_into().unwrap();
    assert_eq!(call.outcome, ToolOutcome::Sandbox);
    world.stop().await;
}

#[tokio::test]
async fn a_tool_that_is_removed_or_replaced_is_not_called_any_more() {
    let world = World::with_reader("allow = [\"wordcount\"]").await;
    assert_eq!(world.read("a b").await.0, Performative::Inform);
    let name = ToolName::parse("wordcount").unwrap();
    world.app.tool_remove(&world.ctx, &name).await.unwrap();
    let (act, text) = world.read("a b").await;
    assert_eq!(act, Performative::Failure, "{text}");
    assert!(text.starts_with("CX-80"), "{text}");
    world.register("wordcount").await.unwrap();
    assert_eq!(world.read("a b").await.0, Performative::Inform);
    world.stop().await;
}

#[tokio::test]
async fn an_agents_component_is_not_registered_as_a_tool() {
    let world = World::with_reader("").await;
    let error = world.register("echo").await.unwrap_err();
    assert_eq!(error.code, Code::ComponentWorld);
    assert!(error.detail.contains("agent, not a tool"), "{error:?}");
    world.stop().await;
}

#[tokio::test]
async fn what_a_tool_logs_stands_with_its_call_and_is_bounded() {
    let world = World::with_reader("allow = [\"unruly\"]").await;
    let (act, text) = world.read("call unruly.mutter\n{\"bytes\": 40}").await;
    assert_eq!((act, text.as_str()), (Performative::Inform, "said"));
    let [call] = world.calls().await.try_into().unwrap();
    assert_eq!(call.log.len(), 32);
    assert_eq!(call.log[31], "info line 39 of {\"bytes\":40}");
    world.fails("unruly.panic", Code::ToolFailed).await;
    let calls = world.calls().await;
    assert!(calls[1].detail.contains("I am about to fall"), "{calls:?}");
    world.stop().await;
}
