//! Agents that a toolchain makes while the tests run: the echo in TypeScript and in Python, and the
//! shipped Rust components built again from their sources, which must behave as the shipped ones do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use caxton_core::manifest::SandboxProfile;
use caxton_testkit::server::{Example, Said, TestServer, draft, text_of};
use std::path::{Path, PathBuf};

/// What the tool that a test needs has put into its variable.
fn provided(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable);
    value
        .unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`"))
        .into()
}

/// An example with the component that its toolchain has made.
fn built(manifest: &str, variable: &str) -> Example {
    let component = std::fs::read(provided(variable)).expect("the component");
    Example {
        manifest: caxton_core::Manifest::parse(manifest).expect("its manifest"),
        component: component.into(),
    }
}

fn ts_echo() -> Example {
    let manifest = include_str!("../../../examples/ts-echo/agent.toml");
    built(manifest, "CAXTON_TEST_TS_ECHO")
}

fn py_echo() -> Example {
    let manifest = include_str!("../../../examples/py-echo/agent.toml");
    built(manifest, "CAXTON_TEST_PY_ECHO")
}

#[tokio::test]
#[ignore = "needs ts-echo"]
async fn an_agent_in_typescript_answers_as_the_one_in_rust() {
    answers_as_the_one_in_rust("ts-echo", ts_echo()).await;
}

#[tokio::test]
#[ignore = "needs py-echo"]
async fn an_agent_in_python_answers_as_the_one_in_rust() {
    answers_as_the_one_in_rust("py-echo", py_echo()).await;
}

async fn answers_as_the_one_in_rust(name: &str, other: Example) {
    let server = TestServer::start().await;
    server.deploy(&Example::load("echo")).await;
    server.deploy(&other).await;
    for (act, text) in [
        ("request", "hello"),
        ("query-ref", "zwölf 🙂 \" \\ \n"),
        ("request", ""),
        ("subscribe", "no echo takes this"),
    ] {
        let mut answers = Vec::new();
        for name in ["echo", name] {
            let mut asked = draft(act, name, text);
            asked.protocol = Some("fipa-request".to_owned());
            asked.reply_with = Some("r-1".to_owned());
            asked.language = Some("en".to_owned());
            let mut answer = server.converse(asked).await.unwrap();
            assert_eq!(
                answer.sender.take().unwrap().name,
                format!("{name}@default")
            );
            // What the server stamps on each message is its own.
            for own in [&mut answer.id, &mut answer.trace_id, &mut answer.span_id] {
                own.clear();
            }
            (answer.parent_id, answer.conversation_id, answer.create_time) = (None, None, None);
            answers.push(answer);
        }
        assert_eq!(answers[0], answers[1], "{act} {text:?}");
    }
    // It leaves memory like any other, and is back.
    server.is_idle().await;
    assert_eq!(
        server.ask(name, "again").await,
        Said::new("inform", "again")
    );
}

#[tokio::test]
#[ignore = "needs ts-reader"]
async fn an_agent_in_typescript_calls_tools_as_the_one_in_rust() {
    let manifest = include_str!("../../../examples/ts-reader/agent.toml");
    let other = built(manifest, "CAXTON_TEST_TS_READER");
    calls_tools_as_the_one_in_rust("ts-reader", other).await;
}

#[tokio::test]
#[ignore = "needs py-reader"]
async fn an_agent_in_python_calls_tools_as_the_one_in_rust() {
    let manifest = include_str!("../../../examples/py-reader/agent.toml");
    let other = built(manifest, "CAXTON_TEST_PY_READER");
    calls_tools_as_the_one_in_rust("py-reader", other).await;
}

/// List, describe and call by the host's interface: answers, failures of the tool's own, refusals and
/// errors are the same values in each language, and the agent lives on.
async fn calls_tools_as_the_one_in_rust(name: &str, other: Example) {
    let server = TestServer::start().await;
    for tool in ["wordcount", "unruly"] {
        server.register(tool).await;
    }
    let allow = |it: &mut caxton_core::Manifest| {
        let unruly = caxton_core::tool::permit::Pattern::parse("unruly").unwrap();
        it.tools.allow.push(unruly);
    };
    server.deploy(&Example::load("reader").with(allow)).await;
    server.deploy(&other.with(allow)).await;
    for (act, text, part) in [
        ("request", "to be or not to be", "6 words"),
        ("request", "zwölf 🙂 \" \\ \n", "4 words"),
        ("query-ref", "", "wordcount.count: Counts the words"),
        ("request", "call unruly.refuse", ""),
        ("request", "call unruly.panic", "CX-8013"),
        ("request", "call wordcount.count\n{\"text\": 1}", "CX-8007"),
        ("request", "call wordcount.none", "CX-8001"),
        ("request", "call files.list", "CX-8006"),
        ("request", "to be again", "3 words"),
    ] {
        let mut answers = Vec::new();
        for name in ["reader", name] {
            let answer = server.converse(draft(act, name, text)).await.unwrap();
            answers.push(Said::new(&answer.performative, &text_of(&answer)));
        }
        assert_eq!(answers[0], answers[1], "{act} {text:?}");
        assert!(
            answers[1].content.contains(part),
            "{text:?}: {:?}",
            answers[1]
        );
    }
}

#[tokio::test]
#[ignore = "needs ts-echo"]
async fn the_strict_profile_refuses_a_javascript_engine_and_says_why() {
    let server = TestServer::start().await;
    let strict = ts_echo().with(|it| it.sandbox.profile = SandboxProfile::Strict);
    let error = server.try_deploy(&strict).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(422), Some("CX-2007")));
    let detail = &error.problem().unwrap().detail;
    assert!(
        detail.contains("reference types") || detail.contains("bulk memory"),
        "{detail}"
    );
    assert!(detail.contains("profile"), "the cure is told: {detail}");
    // The shipped Rust agents need nothing of that.
    let echo = Example::load("echo").with(|it| it.sandbox.profile = SandboxProfile::Strict);
    server.deploy(&echo).await;
    assert_eq!(
        server.ask("echo", "hello").await,
        Said::new("inform", "hello")
    );
}

#[tokio::test]
#[ignore = "needs fixtures"]
async fn rebuilt_agents_behave_like_the_shipped_ones() {
    let rebuilt = provided("CAXTON_TEST_FIXTURES");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    assert_eq!(behavior(&shipped).await, behavior(&rebuilt).await);
}

/// What the agents of a folder answer to all that has one right answer.
async fn behavior(examples: &Path) -> Vec<(String, Said)> {
    let server = TestServer::start().await;
    for folder in [
        "echo",
        "counter",
        "probe",
        "misbehave",
        "trespass",
        "market/buyer",
        "market/seller-a",
        "market/seller-b",
        "market/seller-c",
    ] {
        server.deploy(&Example::load_from(examples, folder)).await;
    }
    let mut heard = Vec::new();
    for (to, act, text) in [
        ("echo", "request", "hello"),
        ("echo", "propose", "hello"),
        ("counter", "request", "add 40"),
        ("counter", "request", "add 2"),
        ("counter", "request", "add 9223372036854775807"),
        ("counter", "request", "add nothing"),
        ("counter", "query-ref", "get"),
        ("probe", "request", "me"),
        ("probe", "request", "version"),
        ("probe", "request", "state set k v"),
        ("probe", "request", "state keys"),
        ("probe", "request", "state get none"),
        ("probe", "request", "call echo through"),
        ("probe", "request", "call nobody x"),
        ("probe", "request", "what?"),
        ("misbehave", "request", "spin 1000"),
        ("misbehave", "request", "trap-until 2"),
        ("misbehave", "request", "state-big 2000000"),
        ("misbehave", "request", "send-odd traversal"),
        ("misbehave", "request", "call misbehave ok"),
        ("trespass", "request", "env"),
        ("trespass", "request", "files"),
        ("buyer", "request", "buy 10 widgets"),
        ("buyer", "request", "buy 5 gadgets from seller-a seller-b"),
        ("buyer", "request", "buy nothing"),
        ("seller-c", "query-ref", "stock widgets"),
        ("seller-a", "query-ref", "stock gadgets"),
    ] {
        let answer = server.converse(draft(act, to, text)).await.unwrap();
        let said = Said::new(&answer.performative, &text_of(&answer));
        heard.push((format!("{act} {to} {text}"), said));
    }
    heard
}
