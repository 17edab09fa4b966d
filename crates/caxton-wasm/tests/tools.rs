//! Components as tools: what a good one answers, what is left of a bad one, and which are refused
//! before anybody can call them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use bytes::Bytes;
use caxton_core::error::Code;
use caxton_core::manifest::SandboxProfile;
use caxton_core::model::Part;
use caxton_core::quota::Limits;
use caxton_core::tool::{Definition, Effect, Function, ToolName};
use caxton_core::{Digest, TenantId, Timestamp, TraceContext};
use caxton_engine::port::tool::{
    Executor, ToolAnswer, ToolCall, ToolFault, ToolFaultKind, ToolTarget,
};
use caxton_engine::port::{Clock, Entropy, ManualClock, SeededEntropy};
use caxton_wasm::{Compiler, Options, ToolOptions, WasmRuntime, WasmTools};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use support::{example, runtime};

/// Longer than any test: what ends a call is something else.
const LONG: Duration = Duration::from_secs(600);

fn tools(options: ToolOptions) -> WasmTools {
    runtime().tools(options).unwrap()
}

fn quick() -> ToolOptions {
    ToolOptions {
        fuel_per_call_max: 50_000_000,
        ..ToolOptions::default()
    }
}

fn target(component: &[u8]) -> Arc<ToolTarget> {
    Arc::new(ToolTarget {
        tenant: TenantId::default_tenant(),
        name: ToolName::parse("under-test").unwrap(),
        definition: Some(Definition::Wasm {
            component: Digest(Sha256::digest(component).into()),
        }),
        secret: None,
        component: Some(Bytes::copy_from_slice(component)),
        revision: 1,
        trusted: false,
    })
}

/// A tool with what it says that it offers.
struct Tool {
    target: Arc<ToolTarget>,
    functions: Vec<Arc<Function>>,
}

impl Tool {
    async fn of(tools: &WasmTools, name: &str) -> Self {
        let target = target(&example(name));
        let functions = tools.describe(Arc::clone(&target)).await.unwrap();
        Self {
            target,
            functions: functions.into_iter().map(Arc::new).collect(),
        }
    }

    async fn call(
        &self,
        tools: &WasmTools,
        function: &str,
        arguments: Value,
        timeout: Duration,
    ) -> Result<ToolAnswer, ToolFault> {
        let mut named = self.functions.iter();
        let found = named.find(|it| it.name.as_str() == function).unwrap();
        let call = ToolCall {
            target: Arc::clone(&self.target),
            function: Arc::clone(found),
            arguments,
            key: "k".to_owned(),
            session: "s".to_owned(),
            timeout,
            bytes_max: 64 << 10,
            hosts: Arc::from([]),
            trace: TraceContext {
                trace_id: [5; 16],
                span_id: [6; 8],
                sampled: false,
            },
        };
        tools.call(call).await
    }
}

fn text(answer: &ToolAnswer) -> &str {
    match answer.parts.as_slice() {
        [Part::Text { text }] => text,
        other => panic!("{other:?}"),
    }
}

/// One call of the unruly tool, its fault.
async fn unruly(function: &str, arguments: Value) -> ToolFault {
    fault_under(ToolOptions::default(), function, arguments).await
}

async fn fault_under(options: ToolOptions, function: &str, arguments: Value) -> ToolFault {
    let tools = tools(options);
    let tool = Tool::of(&tools, "unruly").await;
    let answered = tool.call(&tools, function, arguments, LONG).await;
    let fault = answered.expect_err(function);
    assert!(
        fault.detail.chars().count() <= 1_001,
        "{} bytes",
        fault.detail.len()
    );
    fault
}

#[tokio::test]
async fn a_tool_says_what_it_offers_and_answers() {
    let tools = tools(ToolOptions::default());
    let tool = Tool::of(&tools, "wordcount").await;
    let [count] = tool.functions.as_slice() else {
        panic!("{:?}", tool.functions);
    };
    assert_eq!(count.name.as_str(), "count");
    assert_eq!((count.effect, count.repeatable), (Effect::Reads, true));
    assert_eq!(count.input["required"], json!(["text"]));
    assert!(count.output.is_some());
    let arguments = json!({"text": "to be or\nnöt to be"});
    let answer = tool.call(&tools, "count", arguments, LONG).await.unwrap();
    assert_eq!(text(&answer), "6 words, 2 lines, 18 characters");
    let counted = json!({"words": 6, "lines": 2, "characters": 18});
    assert_eq!(answer.structured, Some(counted));
    assert!(!answer.is_error);
    // Without a schema's help it is the tool that says what is wrong.
    let answer = tool.call(&tools, "count", json!({}), LONG).await.unwrap();
    assert!(answer.is_error);
    assert_eq!(text(&answer), "`text` is missing");
    let checked = tools.check(example("wordcount").into()).await.unwrap();
    assert_eq!(checked, [Function::clone(count)]);
}

#[tokio::test]
async fn nothing_is_left_of_a_call_for_the_next() {
    let tools = tools(ToolOptions::default());
    let tool = Tool::of(&tools, "unruly").await;
    for _ in 0..3 {
        let answer = tool.call(&tools, "remember", json!({}), LONG).await;
        assert_eq!(text(&answer.unwrap()), "1");
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_and_randomness_are_the_engines() {
    let clock = ManualClock::new(Timestamp::from_us(1_234_567));
    let runtime = WasmRuntime::new(Options {
        instances_live_max: 64,
        clock: Arc::new(clock) as Arc<dyn Clock>,
        entropy: Arc::new(SeededEntropy::new(7)),
        ..Options::default()
    })
    .unwrap();
    let tools = runtime.tools(ToolOptions::default()).unwrap();
    let tool = Tool::of(&tools, "unruly").await;
    let answer = tool.call(&tools, "look", json!({}), LONG).await.unwrap();
    let mut expected = [0; 8];
    SeededEntropy::new(7).fill(&mut expected);
    let expected: Vec<String> = expected.iter().map(u8::to_string).collect();
    assert_eq!(text(&answer), format!("1234567 {}", expected.join(" ")));
}

#[tokio::test]
async fn a_tool_that_panics_has_failed_and_said_why() {
    let fault = unruly("panic", json!({})).await;
    assert_eq!(fault.kind, ToolFaultKind::Failed, "{fault}");
    assert_eq!(fault.code(), Code::ToolFailed);
    assert!(fault.detail.contains("unreachable"), "{fault}");
    assert!(fault.detail.contains("info I am about to fall"), "{fault}");
    assert!(fault.detail.contains("as announced"), "{fault}");
}

#[tokio::test]
async fn a_tool_that_never_ends_uses_up_its_fuel_its_processor_time_or_its_callers_patience() {
    let fault = fault_under(quick(), "spin", json!({})).await;
    assert_eq!(fault.kind, ToolFaultKind::Failed, "{fault}");
    assert!(
        fault.detail.contains("fuel_per_call_max is 50000000"),
        "{fault}"
    );

    let endless = ToolOptions {
        fuel_per_call_max: 1_000_000_000_000,
        busy_ms_max: 600_000,
        ..ToolOptions::default()
    };
    let busy = tools(ToolOptions {
        busy_ms_max: 20,
        ..endless.clone()
    });
    let tool = Tool::of(&busy, "unruly").await;
    let fault = tool.call(&busy, "spin", json!({}), LONG).await.unwrap_err();
    assert_eq!(fault.kind, ToolFaultKind::Timeout, "{fault}");
    assert!(fault.detail.contains("busy_ms_max (20 ms)"), "{fault}");

    // One thread serves all: the neighbour is answered because the one that spins yields.
    let endless = tools(endless);
    let neighbour = Tool::of(&endless, "wordcount").await;
    let patience = Duration::from_millis(300);
    let spinning = tool.call(&endless, "spin", json!({}), patience);
    let counting = neighbour.call(&endless, "count", json!({"text": "a"}), LONG);
    let (spun, counted) = tokio::join!(spinning, counting);
    let fault = spun.unwrap_err();
    assert_eq!(fault.kind, ToolFaultKind::Timeout, "{fault}");
    assert!(fault.detail.contains("within 300 ms"), "{fault}");
    assert!(text(&counted.unwrap()).starts_with("1 words"));
}

#[tokio::test]
async fn a_log_without_end_costs_fuel_and_is_cut() {
    let fault = fault_under(quick(), "chatter", json!({})).await;
    assert_eq!(fault.kind, ToolFaultKind::Failed, "{fault}");
    assert!(fault.detail.contains("fuel"), "{fault}");
    assert!(fault.detail.contains("warn "), "{fault}");
}

#[tokio::test]
async fn memory_is_bounded_and_the_limit_named() {
    let fault = unruly("grow", json!({})).await;
    assert_eq!(fault.kind, ToolFaultKind::Failed, "{fault}");
    assert!(fault.detail.contains("memory_bytes_max"), "{fault}");
}

#[tokio::test]
async fn an_answer_too_large_is_refused_and_a_large_one_is_not() {
    for (function, size) in [("flood", 17 << 20), ("parts", 257), ("parts", 1_000_000)] {
        let fault = unruly(function, json!({ "bytes": size })).await;
        assert_eq!(fault.kind, ToolFaultKind::TooLarge, "{function}: {fault}");
    }
    let tools = tools(ToolOptions::default());
    let tool = Tool::of(&tools, "unruly").await;
    let answer = tool.call(&tools, "flood", json!({"bytes": 8 << 20}), LONG);
    assert_eq!(text(&answer.await.unwrap()).len(), 8 << 20);
}

#[tokio::test]
async fn an_answer_that_is_not_what_the_interface_promises_is_malformed() {
    for (function, why) in [("babble", "no JSON"), ("paint", "no image's media type")] {
        let fault = unruly(function, json!({})).await;
        assert_eq!(fault.kind, ToolFaultKind::Malformed, "{function}: {fault}");
        assert!(fault.detail.contains(why), "{fault}");
    }
}

#[tokio::test]
async fn calls_past_those_at_once_wait_within_their_own_time() {
    let tools = tools(ToolOptions {
        fuel_per_call_max: 1_000_000_000_000,
        busy_ms_max: 600_000,
        calls_at_once_max: 1,
        ..ToolOptions::default()
    });
    let tool = Tool::of(&tools, "unruly").await;
    let spinning = tool.call(&tools, "spin", json!({}), Duration::from_millis(400));
    let impatient = tool.call(&tools, "look", json!({}), Duration::from_millis(50));
    let patient = tool.call(&tools, "look", json!({}), LONG);
    let (spun, impatient, patient) = tokio::join!(spinning, impatient, patient);
    assert_eq!(spun.unwrap_err().kind, ToolFaultKind::Timeout);
    assert_eq!(impatient.unwrap_err().kind, ToolFaultKind::Timeout);
    assert!(patient.is_ok());
}

#[tokio::test]
async fn a_call_that_is_given_up_gives_its_place_back() {
    let tools = tools(ToolOptions {
        fuel_per_call_max: 1_000_000_000_000,
        calls_at_once_max: 1,
        ..ToolOptions::default()
    });
    let tool = Tool::of(&tools, "unruly").await;
    {
        let spinning = std::pin::pin!(tool.call(&tools, "spin", json!({}), LONG));
        let mut spinning = spinning;
        // It has begun: it yields, and holds the only place.
        assert!(futures_poll(spinning.as_mut()).await.is_none());
    }
    assert!(tool.call(&tools, "look", json!({}), LONG).await.is_ok());
}

/// Polls once.
async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

/// The unruly tool with other words in its memory; both are of the same length.
fn changed(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut component = example("unruly");
    let mut at = 0;
    let mut found = 0;
    while let Some(next) = find(&component[at..], from.as_bytes()) {
        at += next;
        component[at..at + to.len()].copy_from_slice(to.as_bytes());
        found += 1;
    }
    assert!(found > 0, "`{from}` is not in the component");
    component
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[tokio::test]
async fn a_tool_that_describes_itself_wrongly_is_refused() {
    let schema =
        r#"{"type": "object", "properties": {"bytes": {"type": "integer", "minimum": 0}}}"#;
    let list = format!("[{}]", " ".repeat(schema.len() - 2));
    let tools = tools(ToolOptions::default());
    for (from, to, why) in [
        (schema, list.as_str(), "is not a JSON object"),
        (schema, &schema.replace('{', "["), "is no JSON"),
        ("paint", "flood", "two functions are called `flood`"),
        ("babble", "bab/le", "not a function's name"),
    ] {
        let error = tools.check(changed(from, to).into()).await.unwrap_err();
        assert_eq!(error.code, Code::ToolMalformed, "{}", error.detail);
        assert!(error.detail.contains(why), "{}", error.detail);
    }
}

#[tokio::test]
async fn a_tool_whose_describe_traps_or_does_not_answer_is_refused() {
    let poor = tools(ToolOptions {
        fuel_per_call_max: 10_000,
        ..ToolOptions::default()
    });
    let error = poor.check(example("unruly").into()).await.unwrap_err();
    assert_eq!(error.code, Code::ToolFailed, "{}", error.detail);
}

#[tokio::test]
async fn components_of_another_world_are_refused_with_their_cure() {
    const TOOL: &str = "caxton:agent/tool-functions@1.0.0";
    let component = |text: &str| wat::parse_str(format!("(component {text})")).unwrap();
    let lifted = r#"(core module $m (func (export "f") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $f (result u32) (canon lift (core func $i "f")))"#;
    let tools = tools(ToolOptions::default());
    for (component, code, why) in [
        (example("echo"), Code::ComponentWorld, "agent, not a tool"),
        (component(""), Code::ComponentWorld, TOOL),
        (
            component(&format!("(instance $b) (export \"{TOOL}\" (instance $b))")),
            Code::ComponentWorld,
            "no function `describe`",
        ),
        (
            component(&format!(
                "{lifted} (instance $b (export \"describe\" (func $f))) (export \"{TOOL}\" (instance $b))"
            )),
            Code::ComponentWorld,
            "its `describe` is () -> u32",
        ),
        (
            component("(import \"caxton:agent/messaging@1.0.0\" (instance))"),
            Code::ComponentImport,
            "that is for agents",
        ),
        (
            component("(import \"wasi:http/outgoing-handler@0.2.0\" (instance))"),
            Code::ComponentImport,
            "no network",
        ),
        (
            b"\0asm\x01\0\0\0".to_vec(),
            Code::ComponentIsModule,
            "core module",
        ),
        (
            component(&format!(
                "(core module (memory 1025)) (instance $b) (export \"{TOOL}\" (instance $b))"
            )),
            Code::ComponentLimits,
            "memory_bytes_max",
        ),
    ] {
        let error = tools.check(component.into()).await.unwrap_err();
        assert_eq!(error.code, code, "{}", error.detail);
        assert!(error.detail.contains(why), "{}", error.detail);
    }
    // The other way about: a tool cannot be deployed as an agent.
    let (code, detail) =
        support::code(support::prepare(example("wordcount"), Limits::default()).await);
    assert_eq!(code, Code::ComponentWorld);
    assert!(detail.contains("tool, not an agent"), "{detail}");
}

#[tokio::test]
async fn the_strict_profile_holds_for_tools_too() {
    let tools = tools(ToolOptions {
        profile: SandboxProfile::Strict,
        ..ToolOptions::default()
    });
    assert!(tools.check(example("wordcount").into()).await.is_ok());
    let text = r#"(core module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 9))))"#;
    let bulk = wat::parse_str(format!("(component {text})")).unwrap();
    let error = tools.check(bulk.into()).await.unwrap_err();
    assert_eq!(error.code, Code::ComponentFeature, "{}", error.detail);
}

#[tokio::test]
async fn tools_are_compiled_apart_kept_by_content_and_shared_with_no_other_world() {
    let folder = tempfile::tempdir().unwrap();
    let compiling = |program: &str| Options {
        cache_dir: Some(folder.path().to_owned()),
        compiler: Compiler::Child {
            program: program.into(),
            args: Vec::new(),
        },
        instances_live_max: 64,
        ..Options::default()
    };
    let first = WasmRuntime::new(compiling(env!("CARGO_BIN_EXE_compile_worker"))).unwrap();
    let tools = first.tools(ToolOptions::default()).unwrap();
    tools.check(example("wordcount").into()).await.unwrap();
    // An agent's code is kept there too, and is no tool for that.
    let echo = support::prepare_in(
        &first,
        example("echo"),
        Limits::default(),
        SandboxProfile::Default,
    );
    echo.await.unwrap();
    let error = tools.check(example("echo").into()).await.unwrap_err();
    assert!(
        matches!(error.code, Code::ComponentImport | Code::ComponentWorld),
        "{error:?}"
    );
    // The next start compiles nothing: there is no compiler.
    let second = WasmRuntime::new(compiling("/nonexistent/worker")).unwrap();
    let tools = second.tools(ToolOptions::default()).unwrap();
    let tool = Tool::of(&tools, "wordcount").await;
    let answer = tool.call(&tools, "count", json!({"text": "a b"}), LONG);
    assert!(text(&answer.await.unwrap()).starts_with("2 words"));
    let error = tools.check(example("unruly").into()).await.unwrap_err();
    assert_eq!(error.code, Code::CompileFailed);
}

#[tokio::test]
async fn more_tools_than_are_kept_ready_are_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = WasmRuntime::new(Options {
        cache_dir: Some(folder.path().to_owned()),
        instances_live_max: 64,
        ..Options::default()
    })
    .unwrap();
    let tools = runtime
        .tools(ToolOptions {
            ready_max: 1,
            ..ToolOptions::default()
        })
        .unwrap();
    let (wordcount, unruly) = (
        Tool::of(&tools, "wordcount").await,
        Tool::of(&tools, "unruly").await,
    );
    for _ in 0..3 {
        let counted = wordcount.call(&tools, "count", json!({"text": "a"}), LONG);
        assert!(counted.await.is_ok());
        let looked = unruly.call(&tools, "look", json!({}), LONG);
        assert!(looked.await.is_ok());
    }
}
