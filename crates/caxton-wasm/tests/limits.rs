//! Guests that do wrong: each gets the fault that names it, and its neighbours go on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::quota::Limits;
use caxton_engine::port::Fault;
use caxton_engine::port::behavior::FaultKind;
use std::sync::Arc;
use support::{Agent, agent, agent_importing, example, handle, prepare, request};

/// What handling one request of a fresh instance comes to.
async fn one(agent: &Agent, text: &str) -> Result<String, Fault> {
    let (mut behavior, host) = agent.start().await?;
    let (_, sent) = handle(&mut behavior, host, request(text)).await;
    let sent = sent?;
    Ok(sent.first().map_or_else(String::new, |reply| {
        String::from_utf8_lossy(&reply.acl.content).into_owned()
    }))
}

async fn misbehave(limits: Limits) -> Agent {
    prepare(example("misbehave"), limits).await.unwrap()
}

async fn wat_agent(component: Vec<u8>, limits: Limits) -> Agent {
    prepare(component, limits)
        .await
        .unwrap_or_else(|error| panic!("{error:?}"))
}

const LOOP: &str = "(loop $l (br $l))";

#[tokio::test]
async fn endless_loops_run_out_of_fuel_wherever_they_are() {
    let limits = Limits {
        fuel_per_message_max: 5_000_000,
        ..Limits::default()
    };
    let in_start = format!("(func $loop {LOOP}) (start $loop)");
    let fault = wat_agent(agent(&in_start, "", ""), limits.clone())
        .await
        .start()
        .await
        .err()
        .unwrap();
    assert_eq!(fault.kind, FaultKind::Init);
    assert!(fault.detail.contains("fuel_per_message_max"), "{fault:?}");
    let fault = wat_agent(agent("", LOOP, ""), limits.clone())
        .await
        .start()
        .await
        .err()
        .unwrap();
    assert_eq!(fault.kind, FaultKind::Init);
    assert!(fault.detail.contains("fuel_per_message_max"), "{fault:?}");
    let looping = wat_agent(agent("", "", LOOP), limits).await;
    let fault = one(&looping, "").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Fuel);
    assert!(fault.detail.contains("5000000"), "{fault:?}");
}

#[tokio::test]
async fn fuel_is_met_within_five_percent() {
    // Seven instructions a round: two constants, get, sub, tee, ne and br_if.
    let rounds = |n: u64| {
        format!(
            "(local $i i64) (local.set $i (i64.const {n}))
             (loop $l (br_if $l (i64.ne (i64.const 0)
               (local.tee $i (i64.sub (local.get $i) (i64.const 1))))))"
        )
    };
    const PER_ROUND: u64 = 7;
    let fuel = 7_000_000;
    let limits = Limits {
        fuel_per_message_max: fuel,
        ..Limits::default()
    };
    let within = fuel / PER_ROUND * 95 / 100;
    let past = fuel / PER_ROUND * 105 / 100;
    let fits = wat_agent(agent("", "", &rounds(within)), limits.clone()).await;
    assert_eq!(one(&fits, "").await, Ok(String::new()));
    let does_not = wat_agent(agent("", "", &rounds(past)), limits).await;
    assert_eq!(one(&does_not, "").await.unwrap_err().kind, FaultKind::Fuel);
}

#[tokio::test]
async fn bulk_operations_are_charged_by_their_length() {
    let fill = "(memory.fill (i32.const 0) (i32.const 7) (i32.const 1048576))";
    let grown = |body: &str| format!("(drop (memory.grow (i32.const 16))) {}", body.repeat(10));
    let limits = Limits {
        fuel_per_message_max: 8 << 20,
        ..Limits::default()
    };
    for body in [
        fill,
        "(memory.copy (i32.const 0) (i32.const 9) (i32.const 1048000))",
    ] {
        // Its message lies in that memory, but it never looks at it again.
        let bulky = wat_agent(agent("", "", &grown(body)), limits.clone()).await;
        let fault = one(&bulky, "").await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Fuel, "{fault:?}");
    }
    let tables = "(table $t 1 funcref)";
    let grow = "(loop $l (br_if $l (i32.ne (i32.const -1) (table.grow $t (ref.null func) (i32.const 0)))))";
    let fault = one(&wat_agent(agent(tables, "", grow), limits).await, "")
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Fuel, "growing by nothing costs too");
}

#[tokio::test]
async fn a_guest_that_keeps_a_processor_times_out() {
    let limits = Limits {
        fuel_per_message_max: 1_000_000_000_000,
        handle_timeout_ms_max: 20,
        ..Limits::default()
    };
    let looping = wat_agent(agent("", "", LOOP), limits.clone()).await;
    let fault = one(&looping, "").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout);
    assert!(fault.detail.contains("handle_timeout_ms_max"), "{fault:?}");
    // The instance is lost with its call, and says so.
    let (mut behavior, host) = looping.start().await.unwrap();
    let (host, first) = handle(&mut behavior, host, request("")).await;
    assert_eq!(first.unwrap_err().kind, FaultKind::Timeout);
    let (_, second) = handle(&mut behavior, host, request("")).await;
    assert_eq!(second.unwrap_err().kind, FaultKind::Internal);
    // A guest that only calls the host yields too, and so is seen.
    let calls = agent_importing(
        r#"(import "caxton:agent/metrics@1.0.0" (instance $h (export "count" (func (param "name" string) (param "by" u64)))))
           (core module $mem (memory (export "memory") 1))
           (core instance $mem (instantiate $mem))
           (core func $count (canon lower (func $h "count") (memory (core memory $mem "memory"))))"#,
        r#"(with "h" (instance (export "count" (func $count))))"#,
        r#"(import "h" "count" (func $count (param i32 i32 i64)))"#,
        "",
        "(loop $l (call $count (i32.const 0) (i32.const 0) (i64.const 1)) (br $l))",
    );
    let calling = wat_agent(calls, limits).await;
    let fault = one(&calling, "").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault:?}");
}

#[tokio::test]
async fn memory_is_refused_past_its_limit() {
    let limits = Limits {
        memory_bytes_max: 4 << 20,
        ..Limits::default()
    };
    // It is told so, and may live with it: 64 pages are the limit, the module has one.
    let grow = |pages: u32, expect: i32| {
        format!(
            "(if (i32.ne (memory.grow (i32.const {pages})) (i32.const {expect})) (then unreachable))"
        )
    };
    for body in [grow(63, 1), grow(64, -1), grow(100_000, -1)] {
        let growing = wat_agent(agent("", "", &body), limits.clone()).await;
        assert_eq!(one(&growing, "").await, Ok(String::new()), "{body}");
    }
    // One that does not look ends with the kind that tells why.
    let blind = agent(
        "",
        "",
        "(drop (memory.grow (i32.const 64))) (i32.store (i32.const 4000000) (i32.const 1))",
    );
    let fault = one(&wat_agent(blind, limits.clone()).await, "")
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Memory, "{fault:?}");
    assert!(fault.detail.contains("memory_bytes_max"), "{fault:?}");
    let bomb = misbehave(limits).await;
    let fault_or_bytes = one(&bomb, "memory").await;
    let bytes: u64 = fault_or_bytes.unwrap().parse().unwrap();
    assert!(bytes <= 4 << 20, "{bytes}");
    let tables = wat_agent(
        agent(
            "(table $t 1 funcref)",
            "",
            "(if (i32.ne (table.grow $t (ref.null func) (i32.const 100000)) (i32.const -1)) (then unreachable))",
        ),
        Limits::default(),
    );
    assert_eq!(one(&tables.await, "").await, Ok(String::new()));
}

#[tokio::test]
async fn traps_are_named_with_their_place() {
    let agent = misbehave(Limits::default()).await;
    let fault = one(&agent, "trap").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.detail.contains("unreachable"), "{fault:?}");
    assert!(fault.detail.contains(" in "), "{fault:?}");
    let fault = one(&agent, "recurse").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.detail.contains("stack"), "{fault:?}");
    let fault = one(&agent, "fail because").await.unwrap_err();
    assert_eq!((fault.kind, fault.is_fatal()), (FaultKind::Handler, false));
    assert_eq!(fault.detail, "because");
    for (name, body) in [
        (
            "divide by zero",
            "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
        ),
        ("out of bounds", "(drop (i32.load (i32.const -4)))"),
    ] {
        let fault = one(
            &wat_agent(support::agent("", "", body), Limits::default()).await,
            "",
        )
        .await
        .unwrap_err();
        assert_eq!(fault.kind, FaultKind::Trap);
        assert!(fault.detail.contains(name), "{fault:?}");
    }
}

#[tokio::test]
async fn after_a_trap_in_the_tenth_message_a_fresh_instance_answers() {
    let agent = misbehave(Limits::default()).await;
    let (mut behavior, mut host) = agent.start().await.unwrap();
    for _ in 0..9 {
        let (back, sent) = handle(&mut behavior, host, request("ok")).await;
        assert_eq!(&sent.unwrap()[0].acl.content[..], b"ok");
        host = back;
    }
    let (host, tenth) = handle(&mut behavior, host, request("trap")).await;
    assert_eq!(tenth.unwrap_err().kind, FaultKind::Trap);
    drop(behavior);
    let mut fresh = agent.program.instantiate().await.unwrap();
    let (host, begun) = fresh.init(host).await;
    begun.unwrap();
    let (_, sent) = handle(&mut fresh, host, request("ok")).await;
    assert_eq!(&sent.unwrap()[0].acl.content[..], b"ok");
}

#[tokio::test]
async fn host_calls_are_charged_and_many_of_them_work() {
    let agent = misbehave(Limits::default()).await;
    assert_eq!(one(&agent, "hostcalls 10000").await, Ok("10000".into()));
    let little = Limits {
        fuel_per_message_max: 3_000_000,
        ..Limits::default()
    };
    let fault = one(&misbehave(little).await, "hostcalls 10000").await;
    assert_eq!(fault.unwrap_err().kind, FaultKind::Fuel);
}

#[tokio::test]
async fn a_log_line_of_a_hundred_megabytes_is_cut() {
    let limits = Limits {
        memory_bytes_max: 512 << 20,
        fuel_per_message_max: 10_000_000_000,
        ..Limits::default()
    };
    let agent = misbehave(limits).await;
    let length = 100_000_000;
    let answer = one(&agent, &format!("log {length}")).await;
    assert_eq!(answer, Ok(length.to_string()));
    let logged = agent.logged();
    assert!(
        logged.iter().any(|line| line.contains("bytes cut")),
        "{} lines",
        logged.len()
    );
    assert!(logged.iter().all(|line| line.len() < 17 << 10));
}

#[tokio::test]
async fn a_state_value_too_large_is_a_refusal_the_guest_can_read() {
    let answer = one(&misbehave(Limits::default()).await, "state-big 1048577").await;
    assert!(answer.clone().unwrap().contains("CX-3026"), "{answer:?}");
    let answer = one(&misbehave(Limits::default()).await, "reply-big 2000000").await;
    assert!(answer.clone().unwrap().contains("CX-1020"), "{answer:?}");
}

#[tokio::test]
async fn a_string_longer_than_the_memory_it_lies_in_is_a_trap() {
    let lying = agent_importing(
        r#"(import "caxton:agent/logging@1.0.0" (instance $h
             (type $level' (enum "trace" "debug" "info" "warn" "error"))
             (export "level" (type $level (eq $level')))
             (export "log" (func (param "level" $level) (param "message" string)))))
           (core module $mem (memory (export "memory") 1))
           (core instance $mem (instantiate $mem))
           (core func $log (canon lower (func $h "log") (memory (core memory $mem "memory"))))"#,
        r#"(with "h" (instance (export "log" (func $log))))"#,
        r#"(import "h" "log" (func $log (param i32 i32 i32)))"#,
        "",
        "(call $log (i32.const 2) (i32.const 0) (i32.const 0x7fffffff))",
    );
    let fault = one(&wat_agent(lying, Limits::default()).await, "")
        .await
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Trap, "{fault:?}");
}

#[tokio::test]
async fn two_instances_of_one_component_share_nothing() {
    // Counts its messages in its own memory and traps at the third.
    let counting = agent(
        "(global $n (mut i32) (i32.const 0))",
        "",
        "(global.set $n (i32.add (global.get $n) (i32.const 1)))
         (i32.store (i32.const 128) (i32.add (i32.load (i32.const 128)) (i32.const 1)))
         (if (i32.ne (global.get $n) (i32.load (i32.const 128))) (then unreachable))
         (if (i32.gt_u (global.get $n) (i32.const 2)) (then unreachable))",
    );
    let agent = wat_agent(counting, Limits::default()).await;
    let (mut a, mut host_a) = agent.start().await.unwrap();
    let (mut b, mut host_b) = agent.start().await.unwrap();
    for _ in 0..2 {
        let (back, result) = handle(&mut a, host_a, request("")).await;
        result.unwrap();
        host_a = back;
        let (back, result) = handle(&mut b, host_b, request("")).await;
        result.unwrap();
        host_b = back;
    }
    let (_, third) = handle(&mut a, host_a, request("")).await;
    assert_eq!(third.unwrap_err().kind, FaultKind::Trap);
    drop((a, b));
    // A slot that was used before is clean.
    for _ in 0..20 {
        let (mut c, host) = agent.start().await.unwrap();
        let (_, first) = handle(&mut c, host, request("")).await;
        first.unwrap();
    }
}

#[test]
fn an_echo_answers_beside_ten_endless_loops_on_one_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let limits = Limits {
            fuel_per_message_max: 1_000_000_000_000,
            handle_timeout_ms_max: 600_000,
            ..Limits::default()
        };
        let looping = Arc::new(wat_agent(agent("", "", LOOP), limits).await);
        let loops: Vec<_> = (0..10)
            .map(|_| {
                let looping = Arc::clone(&looping);
                tokio::spawn(async move { one(&looping, "").await })
            })
            .collect();
        let echo = prepare(example("echo"), Limits::default()).await.unwrap();
        for _ in 0..10 {
            assert_eq!(one(&echo, "hello").await, Ok("hello".into()));
            tokio::task::yield_now().await;
        }
        for task in &loops {
            assert!(!task.is_finished());
            task.abort();
        }
    });
}

#[tokio::test]
async fn a_full_pool_is_the_servers_fault_and_not_the_guests() {
    let small = caxton_wasm::WasmRuntime::new(caxton_wasm::Options {
        instances_live_max: 2,
        ..caxton_wasm::Options::default()
    })
    .unwrap();
    let agent = support::prepare_in(
        &small,
        example("echo"),
        Limits::default(),
        caxton_core::manifest::SandboxProfile::Default,
    )
    .await
    .unwrap();
    let first = agent.start().await.unwrap();
    let _second = agent.start().await.unwrap();
    let fault = agent.program.instantiate().await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::Overload, "{fault:?}");
    drop(first);
    assert!(
        agent.start().await.is_ok(),
        "a slot given back is used again"
    );
}
