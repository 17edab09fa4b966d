//! The end.

use std::time::Duration;

use caxton_core::error::Code;
use serde_json::json;

use crate::support::{Events, World, request};
use crate::{chat, compat};

#[tokio::test]
async fn streams_end_and_requests_finish() {
    let mut world = World::new().await;
    world.deploy("slow", "stuck", "").await;
    let mut events = world.events("/v1/messages/stream", None).await;
    let waiting = world.post("/v1/messages?wait=20s", request("slow", "x"));
    let gate = world.gate.clone();
    let mut waiting = Box::pin(waiting);
    // Accepted, and waiting for its reply.
    let seen = tokio::select! {
        event = events.next() => event.unwrap(),
        _ = &mut waiting => panic!("nobody answered yet"),
    };
    assert_eq!(seen.data["content"], "x");
    drop(waiting);
    world.stop();
    gate.add_permits(1);
    while let Some(event) = events.next().await {
        assert_eq!(event.name, "message");
    }
    world.stopped().await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_dropped() {
    let grace = Duration::from_millis(50);
    let mut world = World::with(|options| options.shutdown_grace = grace).await;
    world.deploy("slow", "stuck", "").await;
    let mut client = world.grpc().await;
    let mut request = tonic::Request::new(caxton_api::v1::SendMessageRequest {
        message: Some(serde_json::from_value(request("slow", "x")).unwrap()),
        wait: "20s".to_owned(),
    });
    let key = crate::support::KEY.parse().unwrap();
    request.metadata_mut().insert("x-api-key", key);
    let mut events = world.events("/v1/messages/stream", None).await;
    let call = tokio::spawn(async move { client.send_message(request).await });
    assert_eq!(events.next().await.unwrap().data["content"], "x");
    world.stop();
    world.stopped().await;
    assert!(call.await.unwrap().is_err());
}

/// A stream of each door that answers in one, as far as its first words.
async fn answering(world: &mut World) -> Vec<Events> {
    chat::assistant(world, "helper").await;
    world.deploy("slow", "stuck", "").await;
    let mut asked = vec![
        ("/v1/chat", chat::say("wait")),
        ("/v1/agents/slow/invoke/stream", json!({"content": "x"})),
    ];
    let compatible = compat::DOORS.iter();
    asked.extend(compatible.map(|(path, body)| (*path, compat::stream(body("wait")))));
    let mut streams = Vec::new();
    for (path, body) in asked {
        let mut events = world.stream(path, &body, &[]).await;
        events.next().await.unwrap();
        streams.push(events);
    }
    streams
}

#[tokio::test]
async fn an_answer_that_is_streamed_comes_to_its_end() {
    let mut world = World::new().await;
    let mut streams = answering(&mut world).await;
    let mut feed = world.events("/v1/messages/stream", None).await;
    world.stop();
    while feed.next().await.is_some() {}
    world.gate.add_permits(streams.len());
    let chat = streams.remove(0).rest().await;
    assert_eq!(chat.last().unwrap().name, "turn.completed");
    let invoked = streams.remove(0).rest().await;
    assert_eq!(
        invoked.last().unwrap().data["state"],
        "complete",
        "{invoked:?}"
    );
    for (mut stream, (path, _)) in streams.into_iter().zip(compat::DOORS) {
        let events = stream.rest().await;
        assert_eq!(compat::text(&events), "first second", "{path}");
        assert!(events.iter().all(|it| it.name != "error"), "{events:?}");
    }
    world.stopped().await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_says_that_it_did_not_end() {
    let mut world = World::with(|options| options.shutdown_grace = Duration::ZERO).await;
    let streams = answering(&mut world).await;
    world.stop();
    for mut stream in streams {
        let last = stream.rest().await.pop().unwrap();
        let said = last.data.to_string();
        assert!(said.contains(Code::Draining.as_str()), "{last:?}");
    }
    world.stopped().await;
}
