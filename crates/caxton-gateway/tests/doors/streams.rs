//! Messages as they pass.

use std::time::Duration;

use caxton_core::Code;
use caxton_engine::Options as EngineOptions;
use serde_json::json;

use crate::support::{World, request};

#[tokio::test]
async fn messages_are_followed_and_filtered() {
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    world.deploy("b", "deaf", "").await;
    let mut all = world.events("/v1/messages/stream", None).await;
    let mut ours = world.events("/v1/messages/stream?agent=a", None).await;
    let mut talk = world
        .events("/v1/messages/stream?conversationId=c", None)
        .await;
    world.say("b", "1").await;
    world.ask("a", "2").await;
    let mut body = request("b", "3");
    body["conversationId"] = json!("c");
    world.post("/v1/messages", body).await.is(202);
    for (content, sender) in [("1", "admin"), ("2", "admin"), ("2", "a"), ("3", "admin")] {
        let event = all.next().await.unwrap();
        assert_eq!(event.name, "message");
        assert_eq!(event.id, event.data["id"]);
        assert_eq!(event.data["content"], content);
        assert_eq!(event.data["sender"]["name"], format!("{sender}@default"));
    }
    for content in ["2", "2"] {
        assert_eq!(ours.next().await.unwrap().data["content"], content);
    }
    assert_eq!(talk.next().await.unwrap().data["content"], "3");
}

#[tokio::test]
async fn a_stream_resumes_without_a_gap_or_a_double() {
    let world = World::new().await;
    world.deploy("a", "deaf", "").await;
    let first = world.say("a", "0").await;
    for n in 1..250 {
        world.say("a", &n.to_string()).await;
    }
    let mut events = world.events("/v1/messages/stream", Some(&first)).await;
    world.say("a", "250").await;
    for n in 1..=250 {
        assert_eq!(events.next().await.unwrap().data["content"], n.to_string());
    }
    let unknown = "00000000-0000-7000-8000-000000000000";
    for (id, status, code) in [
        (unknown, 404, Code::ResumeLost),
        ("x", 400, Code::IdMalformed),
    ] {
        let headers = [("last-event-id", id)];
        let refused = world
            .call_with("GET", "/v1/messages/stream", "", &headers)
            .await;
        refused.problem(status, code);
    }
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_told() {
    let engine = EngineOptions {
        watch_messages_max: 4,
        ..EngineOptions::default()
    };
    let world = World::with_engine(engine, |_| {}).await;
    world.deploy("a", "deaf", "").await;
    let mut events = world.events("/v1/messages/stream", None).await;
    // More than the sockets' buffers hold: the server cannot send them all before it is read.
    let large = "x".repeat(512 << 10);
    for _ in 0..64 {
        world.say("a", &large).await;
    }
    let mut seen = 0;
    let last = loop {
        let event = events.next().await.unwrap();
        if event.name == "error" {
            break event;
        }
        seen += 1;
    };
    assert_eq!(last.data["code"], Code::StreamLagged.as_str());
    assert!(
        last.data["detail"].as_str().unwrap().contains("missed"),
        "{last:?}"
    );
    assert!(seen < 64);
    assert_eq!(events.next().await, None, "it is the last event");
}

#[tokio::test]
async fn a_silent_stream_has_a_heartbeat() {
    let world = World::with(|options| options.rest.heartbeat = Duration::from_millis(10)).await;
    let mut events = world.events("/v1/messages/stream", None).await;
    assert_eq!(events.raw().await, ": heartbeat\n\n");
}

#[tokio::test]
async fn streams_are_bounded_and_give_their_place_back() {
    let world = World::with(|options| options.streams_max = 1).await;
    let events = world.events("/v1/messages/stream", None).await;
    let refused = world.get("/v1/messages/stream").await;
    refused.problem(429, Code::StreamsTooMany);
    let text = world.get("/metrics").await.text;
    assert!(
        text.lines().any(|line| line == "caxton_streams 1"),
        "{text}"
    );
    drop(events);
    loop {
        // The server learns of it when the connection ends.
        let text = world.get("/metrics").await.text;
        if text.lines().any(|line| line == "caxton_streams 0") {
            break;
        }
    }
    world.events("/v1/messages/stream", None).await;
}
