//! What a guest gets of WASI 0.2: nothing of the machine but the time and random bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::Performative;
use caxton_core::quota::Limits;
use caxton_engine::port::behavior::FaultKind;
use support::{Agent, example, handle, prepare, request, ts_echo};

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

#[tokio::test]
#[ignore = "needs ts-echo"]
async fn an_agent_of_another_language_answers() {
    let agent = prepare(ts_echo(), Limits::default()).await.unwrap();
    let (act, text) = ask(&agent, "hello").await;
    assert_eq!((act, text.as_str()), (Performative::Inform, "hello"));
}
