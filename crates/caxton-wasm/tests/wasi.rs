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
use std::time::Duration;
use support::{Agent, example, handle, prepare, prepare_in, request, services, ts_echo};

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
