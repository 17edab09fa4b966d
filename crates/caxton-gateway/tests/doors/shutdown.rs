//! The end.

use std::time::Duration;

use crate::support::{World, request};

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
