//! What a guest gets of WASI 0.2: nothing of the machine but the time and random bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::manifest::SandboxProfile;
use caxton_core::quota::Limits;
use caxton_core::{Performative, Timestamp};
use caxton_engine::host::Services;
use caxton_engine::port::behavior::FaultKind;
use caxton_engine::port::{Clock, Entropy, ManualClock, SeededEntropy};
use caxton_wasm::{Options, WasmRuntime};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use support::{
    Agent, agent_importing, example, handle, prepare, prepare_in, request, services, ts_echo,
};

async fn trespass() -> Agent {
    prepare(example("trespass"), Limits::default())
        .await
        .unwrap()
}

async fn ask(agent: &Agent, text: &str) -> (Performative, String) {
    let (mut behavior, host) = agent.start().await.unwrap();
    let (_, sent) = handle(&mut behavior, host, request(text)).await;
    let sent = sent.unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
    let reply = sent.first().unwrap();
    let text = String::from_utf8_lossy(&reply.acl.content).into_owned();
    (reply.acl.performative, text)
}

#[tokio::test]
async fn there_is_no_environment_no_argument_and_no_file() {
    // The test's own process has an environment.
    assert!(std::env::vars().next().is_some());
    let agent = trespass().await;
    for command in ["env", "args", "files"] {
        let answer = ask(&agent, command).await;
        assert_eq!(answer, (Performative::Inform, String::new()), "{command}");
    }
}

#[tokio::test]
async fn there_is_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let agent = trespass().await;
    for command in [
        format!("connect {port}"),
        "listen 0".to_owned(),
        "resolve localhost".to_owned(),
    ] {
        let (act, text) = ask(&agent, &command).await;
        assert_eq!(act, Performative::Failure, "{command}: {text}");
    }
    let accepted = listener.accept();
    assert_eq!(accepted.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn what_is_printed_is_the_agents_log() {
    let agent = trespass().await;
    ask(&agent, "stdout to whom it may concern").await;
    ask(&agent, "stderr alas").await;
    let lines = agent.services.logs.tail(&agent.id, 10);
    let lines: Vec<_> = lines
        .iter()
        .map(|line| (line.level.as_str(), line.text.as_str()))
        .collect();
    assert_eq!(
        lines,
        [("info", "to whom it may concern"), ("warn", "alas")]
    );
}

#[tokio::test]
async fn an_agent_that_exits_ends_its_instance_and_nothing_else() {
    let agent = trespass().await;
    for (command, code) in [("exit", "exit(0)"), ("exit 1", "exit(1)")] {
        let (mut behavior, host) = agent.start().await.unwrap();
        let (_, sent) = handle(&mut behavior, host, request(command)).await;
        let fault = sent.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Trap);
        assert!(fault.detail.contains(code), "{fault:?}");
    }
}

/// `trespass` in a sandbox with this clock and this seed.
async fn trespass_at(clock: &Arc<ManualClock>, seed: u64) -> Agent {
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) =
        (clock.clone(), Arc::new(SeededEntropy::new(seed)));
    let runtime = WasmRuntime::new(Options {
        instances_live_max: 4,
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        ..Options::default()
    });
    let (component, profile) = (example("trespass"), SandboxProfile::Default);
    let agent = prepare_in(&runtime.unwrap(), component, Limits::default(), profile).await;
    let services = services();
    let (store, outlet) = (Arc::clone(&services.store), Arc::clone(&services.outlet));
    let services = Services::alone(store, clock, entropy, outlet).unwrap();
    Agent {
        services: Arc::new(services),
        ..agent.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn wasi_tells_the_engines_time() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_us(1_700_000_000_123_456)));
    let agent = trespass_at(&clock, 1).await;
    let (mut behavior, host) = agent.start().await.unwrap();
    let (host, sent) = handle(&mut behavior, host, request("clock")).await;
    let said = |sent: Result<Vec<Arc<caxton_core::Message>>, _>| {
        let sent: Vec<Arc<caxton_core::Message>> = sent
            .map_err(|fault: caxton_engine::port::Fault| fault.detail)
            .unwrap();
        sent[0].acl.text().unwrap().to_owned()
    };
    assert_eq!(said(sent), "1700000000123456 1700000000123456 0");
    clock.advance(Duration::from_millis(1500));
    let (_, sent) = handle(&mut behavior, host, request("clock")).await;
    assert_eq!(said(sent), "1700000001623456 1700000001623456 1500000000");
}

#[tokio::test]
async fn wasis_random_bytes_are_the_engines() {
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let mut answers = Vec::new();
    for seed in [1, 1, 2] {
        let (act, text) = ask(&trespass_at(&clock, seed).await, "random").await;
        assert_eq!(act, Performative::Inform);
        answers.push(text);
    }
    assert_eq!(answers[0], answers[1], "the same seed");
    assert_ne!(answers[0], answers[2], "another seed");
}

#[tokio::test]
#[ignore = "needs ts-echo"]
async fn an_agent_of_another_language_answers() {
    let agent = prepare(ts_echo(), Limits::default()).await.unwrap();
    let (act, text) = ask(&agent, "hello").await;
    assert_eq!((act, text.as_str()), (Performative::Inform, "hello"));
}

#[tokio::test]
#[ignore = "needs py-echo"]
async fn an_agent_with_an_interpreter_inside_answers() {
    let path =
        std::env::var("CAXTON_TEST_PY_ECHO").expect("CAXTON_TEST_PY_ECHO names the component");
    let component = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let agent = prepare(component, Limits::default()).await.unwrap();
    for text in ["hello", "zwölf 🙂"] {
        let (act, answer) = ask(&agent, text).await;
        assert_eq!((act, answer.as_str()), (Performative::Inform, text));
    }
}

/// An agent that imports a clock, its pollables and random bytes of WASI, and does this with a message.
/// `$poll` takes the address of a list, its length and where to put the answer; `$fill` writes a list
/// of one handle so many times at [`LIST`].
fn caller(handle: &str) -> Vec<u8> {
    agent_importing(
        r#"(import "wasi:io/poll@0.2.0" (instance $polling
             (export "pollable" (type $pollable (sub resource)))
             (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
           (alias export $polling "pollable" (type $pollable))
           (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
             (alias outer 1 $pollable (type $taken))
             (export "pollable" (type $pollable (eq $taken)))
             (export "now" (func (result u64)))
             (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
           (import "wasi:random/random@0.2.0" (instance $random
             (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
           (core module $mem
             (memory (export "memory") 20)
             (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0x80000))
             (func (export "fill") (param $handle i32) (param $count i32)
               (loop $next
                 (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                 (i32.store
                   (i32.add (i32.const 0x1000) (i32.mul (local.get $count) (i32.const 4)))
                   (local.get $handle))
                 (br_if $next (local.get $count)))))
           (core instance $mem (instantiate $mem))
           (core func $poll (canon lower (func $polling "poll")
             (memory (core memory $mem "memory")) (realloc (core func $mem "realloc"))))
           (core func $now (canon lower (func $clock "now")))
           (core func $sleep (canon lower (func $clock "subscribe-duration")))
           (core func $bytes (canon lower (func $random "get-random-bytes")
             (memory (core memory $mem "memory")) (realloc (core func $mem "realloc"))))"#,
        r#"(with "wasi" (instance (export "poll" (func $poll)) (export "now" (func $now))
             (export "sleep" (func $sleep)) (export "bytes" (func $bytes))))
           (with "mem" (instance $mem))"#,
        r#"(import "wasi" "poll" (func $poll (param i32 i32 i32)))
           (import "wasi" "now" (func $now (result i64)))
           (import "wasi" "sleep" (func $sleep (param i64) (result i32)))
           (import "wasi" "bytes" (func $bytes (param i64 i32)))
           (import "mem" "fill" (func $fill (param i32 i32)))
           (global $left (mut i32) (i32.const 10000))"#,
        "",
        handle,
    )
}

/// What one message comes to under this much fuel.
async fn under(fuel: u64, component: Vec<u8>, text: &str) -> Result<(), String> {
    let limits = Limits {
        fuel_per_message_max: fuel,
        ..Limits::default()
    };
    let agent = prepare(component, limits).await.unwrap();
    let (mut behavior, host) = agent.start().await.unwrap();
    let (_, sent) = handle(&mut behavior, host, request(text)).await;
    sent.map(|_| ()).map_err(|fault| fault.detail)
}

fn assert_out_of_fuel(ended: Result<(), String>) {
    let detail = ended.unwrap_err();
    assert!(detail.contains("fuel_per_message_max"), "{detail}");
}

#[tokio::test]
async fn what_wasi_polls_is_charged_by_the_entry() {
    let poll = |entries: u32| {
        caller(&format!(
            "(call $fill (call $sleep (i64.const 0)) (i32.const {entries}))
             (call $poll (i32.const 0x1000) (i32.const {entries}) (i32.const 0))"
        ))
    };
    assert_eq!(under(1_500_000, poll(2_000), "").await, Ok(()));
    assert_out_of_fuel(under(1_500_000, poll(4_000), "").await);
    // More than an instance may have handles is a trap before anything is polled.
    let detail = under(100_000_000, poll(10_000), "").await.unwrap_err();
    assert!(detail.contains("handle limit"), "{detail}");
}

#[tokio::test]
async fn random_bytes_and_printed_lines_are_charged_by_their_number() {
    let random = |bytes: u32| caller(&format!("(call $bytes (i64.const {bytes}) (i32.const 0))"));
    assert_eq!(under(150_000, random(2_000), "").await, Ok(()));
    assert_out_of_fuel(under(150_000, random(4_000), "").await);
    let printed = |lines: usize| format!("stdout {}", "x\n".repeat(lines));
    let trespass = || example("trespass");
    assert_eq!(under(3_000_000, trespass(), &printed(1_000)).await, Ok(()));
    assert_out_of_fuel(under(3_000_000, trespass(), &printed(2_000)).await);
    // One long line is far less than as many lines.
    let long = format!("stdout {}", "x".repeat(4_000));
    assert_eq!(under(3_000_000, trespass(), &long).await, Ok(()));
}

#[tokio::test]
async fn a_guest_that_only_calls_wasi_yields() {
    let calls = "(loop $again (drop (call $now))
        (global.set $left (i32.sub (global.get $left) (i32.const 1)))
        (br_if $again (global.get $left)))";
    let agent = prepare(caller(calls), Limits::default()).await.unwrap();
    let (mut behavior, host) = agent.start().await.unwrap();
    let mut yields = 0_u64;
    let mut handled = std::pin::pin!(handle(&mut behavior, host, request("")));
    let (_, sent) = std::future::poll_fn(|cx| {
        let polled = handled.as_mut().poll(cx);
        yields += u64::from(polled.is_pending());
        match polled {
            Poll::Ready(ended) => Poll::Ready(ended),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    assert!(sent.is_ok(), "{sent:?}");
    // 10,000 calls at 1,000 units each; what the guest computes besides is a tenth of one interval.
    let due = 10_000_000 / Options::default().fuel_yield;
    assert!(yields >= due && due > 1, "{yields} of {due}");
}
