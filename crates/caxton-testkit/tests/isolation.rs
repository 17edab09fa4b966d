//! Agents cannot reach each other's state, and what one does to itself is not felt by another.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use caxton_api::v1::StopAgentRequest;
use caxton_core::Manifest;
use caxton_core::manifest::MailboxMode;
use caxton_testkit::server::{Example, Said, Setup, TestServer, draft, text_of};
use std::time::Duration;

fn inform(content: &str) -> Said {
    Said::new("inform", content)
}

#[tokio::test]
async fn two_agents_of_one_component_share_no_state() {
    let server = TestServer::start().await;
    let (one, two) = (
        Example::load("probe").named("one"),
        Example::load("probe").named("two"),
    );
    let digests =
        [server.deploy(&one).await, server.deploy(&two).await].map(|it| it.component_sha256);
    assert_eq!(digests[0], digests[1], "one component");
    assert_eq!(
        server.ask("one", "state set secret 42").await,
        inform("done")
    );
    assert_eq!(
        server.ask("two", "state get secret").await.performative,
        "failure"
    );
    assert_eq!(server.ask("two", "state keys").await, inform(""));
    assert_eq!(
        server.ask("two", "state set secret 43").await,
        inform("done")
    );
    assert_eq!(
        server.ask("two", "state delete secret").await,
        inform("done")
    );
    assert_eq!(server.ask("one", "state get secret").await, inform("42"));
    // Nor does a timer, a metric or a log line of one belong to the other.
    assert_eq!(server.ask("one", "timer t 3600000 x").await, inform("done"));
    assert_eq!(server.ask("two", "timer-cancel t").await, inform("done"));
    let status = server.get("/v1/server/status").await.json();
    assert_eq!(status["agentsRunning"], 2, "{status}");
    server.ask("one", "metric hits 1").await;
    let metrics = server.get("/metrics").await.text();
    assert!(
        metrics.contains("caxton_guest_hits_total{agent=\"one\""),
        "{metrics}"
    );
    assert!(
        !metrics.contains("caxton_guest_hits_total{agent=\"two\""),
        "{metrics}"
    );
    server.ask("one", "log info mine").await;
    let log = server.get("/v1/agents/two/logs").await.json();
    assert_eq!(log["entries"].as_array().map(Vec::len), Some(0), "{log}");
}

#[tokio::test]
async fn conversations_of_one_agent_share_no_state() {
    let server = TestServer::start().await;
    let probe = Example::load("probe")
        .with(|manifest| manifest.delivery.mailbox = MailboxMode::Conversation);
    server.deploy(&probe).await;
    let ask = async |conversation: &str, text: &str| {
        let mut asked = draft("request", "probe", text);
        asked.conversation_id = Some(conversation.to_owned());
        text_of(&server.converse(asked).await.unwrap())
    };
    assert_eq!(ask("c-1", "state set k one").await, "done");
    assert_eq!(ask("c-2", "state get k").await, "no such key");
    assert_eq!(ask("c-2", "state set k two").await, "done");
    assert_eq!(ask("c-1", "state get k").await, "one");
}

#[tokio::test]
async fn what_an_agent_did_before_it_failed_is_undone_and_nothing_else() {
    let server = TestServer::start().await;
    for name in ["bad", "good"] {
        server.deploy(&Example::load("misbehave").named(name)).await;
    }
    for wrong in ["dirty-trap good", "dirty-fail good"] {
        assert_eq!(
            server.ask("bad", wrong).await.performative,
            "failure",
            "{wrong}"
        );
    }
    // Neither the write nor the message left the handler that failed.
    assert_eq!(server.say("query-ref", "bad", "dirty").await, inform("no"));
    assert_eq!(
        server.agent("good").await.stats.unwrap().messages_handled,
        0
    );
    assert_eq!(server.ask("good", "ok").await, inform("ok"));
}

#[tokio::test]
async fn an_echo_answers_while_others_loop_without_end() {
    const LOOPS: usize = 4;
    const ASKS: usize = 50;
    let mut setup = Setup::default();
    // An endless loop is cut off when its agent is told to stop.
    setup.engine.stop_wait = Duration::from_millis(10);
    let server = TestServer::start_with(setup).await;
    server.deploy(&Example::load("echo")).await;
    for n in 0..LOOPS {
        let name = format!("loops-{n}");
        // Practically without limits: the test ends before they are met.
        let looping = Example::load("misbehave").named(&name).with(|manifest| {
            manifest.limits.fuel_per_message_max = 1_000_000_000_000;
            manifest.limits.handle_timeout_ms_max = 600_000;
        });
        server.deploy(&looping).await;
        server.tell(&name, "loop").await.unwrap();
    }
    let live = async |server: &TestServer| {
        (server.metric("caxton_mailboxes_live").await >= LOOPS as f64).then_some(())
    };
    server.eventually("all of them loop", live).await;
    for n in 0..ASKS {
        let text = n.to_string();
        assert_eq!(server.ask("echo", &text).await, inform(&text));
    }
    for n in 0..LOOPS {
        let agent = format!("loops-{n}");
        let stats = server.agent(&agent).await.stats.unwrap();
        assert_eq!(
            (stats.messages_handled, stats.messages_failed),
            (0, 0),
            "{agent} loops still"
        );
        server
            .client()
            .stop_agent(&StopAgentRequest { agent })
            .await
            .unwrap();
    }
    server.is_idle().await;
}

#[tokio::test]
async fn an_echo_answers_while_others_trap_and_swallow_memory() {
    let server = TestServer::start().await;
    server.deploy(&Example::load("echo")).await;
    let bad = ["trap", "panic", "recurse", "memory", "fail no", "loop"];
    for (n, wrong) in bad.iter().enumerate() {
        let agent = Example::load("misbehave").named(&format!("bad-{n}"));
        // Taking 64 MiB a byte at a time costs more than the default fuel, which would end it first.
        let more = |it: &mut Manifest| it.limits.fuel_per_message_max = 10_000_000_000;
        let agent = if *wrong == "memory" {
            agent.with(more)
        } else {
            agent
        };
        server.deploy(&agent).await;
    }
    let wrongs = bad.iter().enumerate().map(|(n, wrong)| {
        let (server, name) = (&server, format!("bad-{n}"));
        async move { server.ask(&name, wrong).await }
    });
    let asks = async {
        for n in 0..50 {
            let text = n.to_string();
            assert_eq!(server.ask("echo", &text).await, inform(&text));
        }
    };
    let (answers, ()) = futures::join!(futures::future::join_all(wrongs), asks);
    let codes = ["CX-3021", "CX-3021", "CX-3021", "", "CX-3020", "CX-3022"];
    for ((wrong, answer), code) in bad.iter().zip(&answers).zip(codes) {
        let act = if code.is_empty() { "inform" } else { "failure" };
        assert_eq!(answer.performative, act, "{wrong}: {answer:?}");
        assert!(answer.content.contains(code), "{wrong}: {answer:?}");
    }
    // And each of them takes its next message.
    for n in 0..bad.len() {
        assert_eq!(server.ask(&format!("bad-{n}"), "ok").await, inform("ok"));
    }
    server.is_idle().await;
}
