//! Server streams: events on REST, messages on gRPC, the same items in the client.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use caxton_api::client::{Client, ClientError};
use caxton_api::rest::Options;
use caxton_api::v1::caxton_management_client::CaxtonManagementClient;
use caxton_api::v1::{WatchLogsRequest, WatchMessagesRequest};
use http::Request;
use http_body_util::BodyExt;
use tonic_types::StatusExt;
use tower::ServiceExt;

use crate::fake::{BROKEN, Fake, MISSING, SILENT};
use crate::{router, serve};

/// The text of a stream that ends.
async fn events(path: &str, last_event_id: &str) -> String {
    let request = Request::get(path).header("last-event-id", last_event_id);
    let router = router(&Arc::new(Fake::default()), Options::default());
    let response = router
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    String::from_utf8(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec(),
    )
    .unwrap()
}

#[tokio::test]
async fn an_event_has_a_name_an_id_and_one_line_of_json() {
    let text = events("/v1/agents/a/logs/stream", "").await;
    let blocks: Vec<&str> = text.trim_end().split("\n\n").collect();
    assert_eq!(blocks.len(), 3, "{text}");
    for (block, id) in blocks.iter().zip(1..) {
        let lines: Vec<&str> = block.lines().collect();
        assert_eq!(lines.len(), 3, "{block}");
        assert_eq!(lines[0], "event: log");
        let data: serde_json::Value =
            serde_json::from_str(lines[1].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["id"], id.to_string());
        assert_eq!(lines[2], format!("id: {id}"));
    }
}

#[tokio::test]
async fn follow_turns_a_log_into_its_stream() {
    let stream = events("/v1/agents/a/logs/stream?tail=2&level=warn", "").await;
    assert_eq!(
        events("/v1/agents/a/logs?follow=true&tail=2&level=warn", "").await,
        stream
    );
}

#[tokio::test]
async fn a_stream_resumes_after_the_last_event() {
    let text = events("/v1/messages/stream?agent=a", "2").await;
    assert!(
        text.contains("id: 3\n") && !text.contains("id: 2\n"),
        "{text}"
    );
    assert!(text.starts_with("event: message\n"), "{text}");
}

#[tokio::test]
async fn an_error_is_the_last_event() {
    let text = events(&format!("/v1/agents/{BROKEN}/logs/stream"), "").await;
    let last = text.trim_end().split("\n\n").last().unwrap();
    assert!(last.starts_with("event: error\ndata: {"), "{last}");
    let problem: serde_json::Value =
        serde_json::from_str(last.split_once("data: ").unwrap().1).unwrap();
    assert_eq!(problem["code"], "CX-5001");
    assert_eq!(problem["instance"], "/v1/agents/broken/logs/stream");
}

#[tokio::test]
async fn an_error_before_the_first_event_is_an_ordinary_problem() {
    let (status, headers, problem) = crate::rest::call(
        &Arc::new(Fake::default()),
        Request::get(format!("/v1/agents/{MISSING}/logs?follow=true"))
            .body(String::new())
            .unwrap(),
    )
    .await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (404, Some("CX-2020"))
    );
    assert_eq!(headers["content-type"], "application/problem+json");
}

/// The clock is paused and there is no network: time passes only while everything waits.
#[tokio::test(start_paused = true)]
async fn a_silent_stream_beats() {
    let fake = Arc::new(Fake::default());
    let request = Request::get(format!("/v1/messages/stream?agent={SILENT}")).body(Body::empty());
    let options = Options {
        heartbeat: Duration::from_secs(15),
        ..Options::default()
    };
    let response = router(&fake, options)
        .oneshot(request.unwrap())
        .await
        .unwrap();
    let mut body = response.into_body();
    let mut text = String::new();
    while !text.contains("heartbeat") {
        let frame = body.frame().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    assert!(text.ends_with("\n\n: heartbeat\n\n"), "{text}");
    assert!(text.contains("id: 3\n"), "{text}");
}

#[tokio::test]
async fn the_client_and_grpc_see_the_same_items() {
    let fake = Arc::new(Fake::default());
    let url = serve(router(&fake, Options::default())).await;
    let client = Client::new(&url, None, None).unwrap();
    let mut grpc = CaxtonManagementClient::connect(url).await.unwrap();
    let request = WatchMessagesRequest {
        agent: "a".to_owned(),
        conversation_id: "c&d".to_owned(),
    };

    let mut rest_items = Vec::new();
    let mut stream = client.watch_messages(&request).await.unwrap();
    while let Some(item) = stream.next().await {
        rest_items.push(item.unwrap());
    }
    assert_eq!(stream.last_event_id(), Some("3"));

    let mut grpc_items = Vec::new();
    let mut stream = grpc.watch_messages(request).await.unwrap().into_inner();
    while let Some(item) = stream.message().await.unwrap() {
        grpc_items.push(item);
    }
    assert_eq!(rest_items.len(), 3);
    assert_eq!(rest_items, grpc_items);
    let seen = fake.take();
    assert_eq!(seen[0].1, seen[1].1);

    let mut stream = client
        .resuming_after("2")
        .unwrap()
        .watch_logs(&WatchLogsRequest {
            agent: "a".to_owned(),
            tail: 5,
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().id, "3");
    assert!(stream.next().await.is_none());
    assert!(fake.take()[0].1.contains("tail: 5"));
}

#[tokio::test]
async fn a_broken_stream_tells_why_at_both_doors() {
    let fake = Arc::new(Fake::default());
    let url = serve(router(&fake, Options::default())).await;
    let client = Client::new(&url, None, None).unwrap();
    let mut grpc = CaxtonManagementClient::connect(url).await.unwrap();
    let request = WatchLogsRequest {
        agent: BROKEN.to_owned(),
        ..Default::default()
    };

    let mut stream = client.watch_logs(&request).await.unwrap();
    for _ in 0..3 {
        stream.next().await.unwrap().unwrap();
    }
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some("CX-5001"));
    assert!(stream.next().await.is_none());

    let mut stream = grpc.watch_logs(request).await.unwrap().into_inner();
    for _ in 0..3 {
        stream.message().await.unwrap().unwrap();
    }
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert_eq!(status.get_details_error_info().unwrap().reason, "CX-5001");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_stream() {
    let fake = Arc::new(Fake::default());
    let url = serve(router(&fake, Options::default())).await;
    let client = Client::new(&url, None, None).unwrap();
    let request = WatchLogsRequest {
        agent: SILENT.to_owned(),
        ..Default::default()
    };
    let mut stream = client.watch_logs(&request).await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(*fake.open_streams.borrow(), 1);
    drop(stream);
    let mut open = fake.open_streams.subscribe();
    open.wait_for(|open| *open == 0).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_given_up() {
    let fake = Arc::new(Fake::default());
    let url = serve(router(&fake, Options::default())).await;
    let limit = Duration::from_millis(50);
    let client = Client::new(&url, None, None)
        .unwrap()
        .with_silence_timeout(limit);
    let request = WatchMessagesRequest {
        agent: SILENT.to_owned(),
        ..Default::default()
    };
    let mut stream = client.watch_messages(&request).await.unwrap();
    let mut items = 0;
    let error = loop {
        match stream.next().await.unwrap() {
            Ok(_) => items += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, ClientError::TimedOut(given_up) if given_up == limit),
        "{error:?}"
    );
    assert_eq!(items, 3);
}
