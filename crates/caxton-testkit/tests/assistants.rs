//! Assistants on a whole server, beside sandboxed agents: who asks whom, and what a crash leaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use caxton_core::Manifest;
use caxton_testkit::server::{Example, Said, TestServer, draft, text_of};
use serde_json::{Value, json};

/// An assistant whose model plays a script.
fn scripted(name: &str, more: &str, script: Value) -> Example {
    let text = format!(
        "name = \"{name}\"\nbehavior = \"assistant\"\n[assistant]\nmodel = \"scripted/x\"\n{more}"
    );
    let bundle = json!({"scripts": {"x": script}});
    Example {
        manifest: Manifest::parse(&text).unwrap(),
        component: bundle.to_string().into(),
    }
}

#[tokio::test]
async fn a_sandboxed_agent_asks_the_shipped_assistant_and_gets_its_answer() {
    let server = TestServer::start().await;
    server.deploy(&Example::load("assistant")).await;
    server.deploy(&Example::load("probe")).await;
    let answer = server.ask("probe", "call assistant Good day").await;
    assert_eq!(answer.performative, "inform");
    assert!(
        answer.content.contains("not a language model"),
        "{answer:?}"
    );
    // A person gets the same, over the same door as any agent's message.
    let answer = server.ask("assistant", "Good day").await;
    assert_eq!(answer.performative, "inform");
    let refused = server.say("subscribe", "assistant", "news").await;
    assert_eq!(refused.performative, "not-understood");
}

#[tokio::test]
async fn an_assistant_uses_a_sandboxed_agent_and_a_crash_makes_it_ask_nobody_twice() {
    let mut server = TestServer::start().await;
    let script = json!({"rules": [
        {"when": {"text": "add"}, "then": {
            "text": "Let me see.",
            "tool_calls": [{"name": "ask_counter", "arguments": {"message": "add 5"}}],
        }},
        // Slow enough to be killed before, and nothing of it is seen until then.
        {"when": {"tool_result": "5"}, "then": {"text": "Now {{tool_result}}.", "first_delay_ms": 2000}},
        {"when": {"text": "how"}, "then": {"text": "{{messages}} messages"}},
    ]});
    server.deploy(&Example::load("counter")).await;
    let clerk = scripted("clerk", "[tools]\nallow = [\"agent:counter\"]\n", script);
    server.deploy(&clerk).await;
    let in_session = |text: &str| {
        let mut draft = draft("request", "clerk", text);
        draft.conversation_id = Some("s-1".to_owned());
        draft.reply_with = Some(text.to_owned());
        draft
    };
    server.send(in_session("please add five")).await.unwrap();
    let mut counted = server.say("query-ref", "counter", "get").await;
    for _ in 0..10_000 {
        if counted.content == "5" {
            break;
        }
        counted = server.say("query-ref", "counter", "get").await;
    }
    assert_eq!(counted, Said::new("inform", "5"));
    server.kill().await;
    // The next turn of the session waits for the one that was interrupted.
    let answer = server.converse(in_session("how many?")).await.unwrap();
    assert_eq!(text_of(&answer), "5 messages");
    let counted = server.say("query-ref", "counter", "get").await;
    assert_eq!(counted, Said::new("inform", "5"));
    let said: Vec<(String, String)> = server
        .conversation("s-1")
        .await
        .iter()
        .map(|it| (it.performative.clone(), text_of(it)))
        .collect();
    assert!(
        said.contains(&("inform".to_owned(), "Let me see.\n\nNow 5.".to_owned())),
        "{said:?}"
    );
    assert_eq!(server.dead_letters("clerk").await, []);
}
