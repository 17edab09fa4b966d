//! What every answer has, and what no operation takes.

use bytes::Bytes;
use caxton_core::Code;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{World, guard, request};

#[tokio::test]
async fn every_answer_has_a_request_id_and_a_trace() {
    let world = World::new().await;
    for path in [
        "/v1/agents",
        "/v1/agents/nobody",
        "/nowhere",
        "/livez",
        "/metrics",
        "/openapi.json",
    ] {
        let (one, two) = (world.get(path).await, world.get(path).await);
        let ids = [one.header("x-request-id"), two.header("x-request-id")];
        assert!(ids[0].len() == 36 && ids[0] != ids[1], "{path}: {ids:?}");
        let traces = [one.header("traceparent"), two.header("traceparent")];
        assert!(
            traces[0].starts_with("00-") && traces[0] != traces[1],
            "{path}: {traces:?}"
        );
        assert_eq!(one.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn the_callers_ids_are_kept_where_they_are_sane() {
    let world = World::new().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [("x-request-id", "mine-1"), ("traceparent", parent.as_str())];
    let answer = world.call_with("GET", "/nowhere", "", &headers).await;
    assert_eq!(answer.header("x-request-id"), "mine-1");
    let traceparent = answer.header("traceparent").to_owned();
    assert!(traceparent.starts_with(&format!("00-{trace}-")) && traceparent.ends_with("-01"));
    assert_ne!(traceparent, parent, "a span of the server's own");
    assert_eq!(answer.problem(404, Code::RouteUnknown)["traceId"], trace);
    let long = "x".repeat(129);
    for id in ["a b", "ä", &long] {
        let headers = [("x-request-id", id), ("traceparent", "00-0-0-0")];
        let answer = world
            .call_with("GET", "/v1/agents", "", &headers)
            .await
            .is(200);
        assert_eq!(answer.header("x-request-id").len(), 36, "{id}");
        assert_eq!(answer.header("traceparent").len(), 55);
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_and_an_unknown_method_405() {
    let world = World::new().await;
    let bare = world.get("/").await.is(307);
    assert_eq!(bare.header("location"), "/docs/");
    for path in [
        "/v1",
        "/v1/agent",
        "/v1/agents/",
        "/v2/agents",
        "/v1/agents/a/b/c",
    ] {
        let problem = world.get(path).await.problem(404, Code::RouteUnknown);
        assert_eq!(problem["instance"], path);
    }
    let check = async |method: &str, path: &str, allow: &str| {
        let answer = world.call(method, path, "").await;
        let mut allowed: Vec<_> = answer.header("allow").split(',').collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(" "), allow, "{method} {path}");
        answer.problem(405, Code::MethodUnknown);
    };
    check("PATCH", "/v1/agents", "GET HEAD POST").await;
    check("DELETE", "/v1/messages/x", "GET HEAD").await;
    check("POST", "/livez", "GET HEAD").await;
    check("POST", "/openapi.json", "GET HEAD").await;
}

#[tokio::test]
async fn a_body_too_large_is_413_with_and_without_its_length() {
    let world = World::with(|options| options.rest.body_bytes_max = 1000).await;
    world.deploy("a", "deaf", "").await;
    let large = request("a", &"x".repeat(2000)).to_string();
    let answer = world.call("POST", "/v1/messages", &large).await;
    answer.problem(413, Code::BodyTooLarge);
    let chunks = large
        .as_bytes()
        .chunks(100)
        .map(Bytes::copy_from_slice)
        .collect();
    let answer = world
        .post_chunked("/v1/messages", chunks, "application/json")
        .await;
    answer.problem(413, Code::BodyTooLarge);
    world.say("a", "small").await;
}

#[tokio::test]
async fn a_head_too_large_is_431_and_says_so() {
    let world = World::with(|options| options.headers_bytes_max = 10_000).await;
    let long = "a".repeat(10_000);
    let headers = [("x-long", long.as_str())];
    let refused = world.call_with("GET", "/v1/agents", "", &headers).await;
    assert!(!refused.header("x-request-id").is_empty());
    refused.problem(431, Code::HeadTooLarge);
    let path = format!("/v1/agents?state={long}");
    world.get(&path).await.problem(431, Code::HeadTooLarge);
    // As the provider's clients know errors.
    let refused = world.call_with("GET", "/openai/v1/models", "", &headers);
    let refused = refused.await.is(431).json();
    assert_eq!(refused["error"]["code"], Code::HeadTooLarge.as_str());
    // Past twice of it nobody reads on.
    let longer = "a".repeat(30_000);
    let headers = [("x-long", longer.as_str())];
    world
        .call_with("GET", "/v1/agents", "", &headers)
        .await
        .is(431);
    world.get("/v1/agents").await.is(200);
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_server_lives() {
    let world = World::new().await;
    let path = "/v1/backups/backup-1/verify";
    let answer = world
        .call_with("POST", path, "", &[("x-request-id", "r")])
        .await;
    assert_eq!(answer.header("x-request-id"), "r");
    let problem = answer.problem(500, Code::Internal);
    assert_eq!(problem["instance"], path);
    assert!(
        !problem["detail"].as_str().unwrap().contains("bites"),
        "{problem}"
    );
    world.get("/v1/agents").await.is(200);
}

#[tokio::test]
async fn too_many_requests_at_once_are_refused_and_probes_are_not() {
    let world = World::with(|options| options.requests_max = 1).await;
    world.deploy("slow", "stuck", "").await;
    let first = world.post("/v1/messages?wait=20s", request("slow", "x"));
    let others = async {
        loop {
            let answer = world.get("/v1/agents").await;
            if answer.status == 200 {
                continue; // The first is not there yet.
            }
            assert_eq!(answer.header("retry-after"), "1");
            answer.problem(503, Code::Overloaded);
            break;
        }
        world.get("/livez").await.is(200);
        let text = world.get("/metrics").await.is(200).text;
        assert!(text.contains("caxton_http_requests_in_flight 2"), "{text}");
        world.gate.add_permits(1);
    };
    let (first, ()) = tokio::join!(first, others);
    // Either came first; whichever it was, the server goes on.
    assert!(first.status == 200 || first.status == 503);
    world.gate.add_permits(1);
    world.get("/v1/agents").await.is(200);
}

#[tokio::test]
async fn a_timeout_that_is_none_is_refused() {
    let world = World::new().await;
    for (timeout, status) in [("1s", 200), ("soon", 400), ("", 200), ("5", 400)] {
        let headers = [("x-request-timeout", timeout)];
        let answer = world.call_with("GET", "/v1/agents", "", &headers).await;
        assert_eq!(answer.status, status, "{timeout}");
    }
}

#[tokio::test]
async fn a_client_that_sends_no_head_is_dropped() {
    let short = std::time::Duration::from_millis(50);
    let world = World::with(|options| options.header_timeout = short).await;
    let address = world.base.trim_start_matches("http://");
    for begun in ["", "P", "GET /livez HTTP/1.1\r\nx: y", "PRI * HTTP/2.0\r\n"] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // The end, or a reset: the server holds nothing for it.
        let _ = guard(stream.read_to_end(&mut rest)).await;
        let text = String::from_utf8_lossy(&rest);
        assert!(!text.contains(" 200 "), "{begun}: {text}");
    }
    world.get("/livez").await.is(200);
}

#[tokio::test]
async fn the_document_is_open_to_all() {
    let world = World::new().await;
    let headers = [("authorization", "")];
    let answer = world
        .call_with("GET", "/openapi.json", "", &headers)
        .await
        .is(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json()["openapi"], "3.1.0");
    let document: serde_json::Value = serde_json::from_str(caxton_api::OPENAPI).unwrap();
    assert_eq!(answer.json(), document);
    // What a problem's `type` points at is there to be read.
    let problem = world.get("/nowhere").await.problem(404, Code::RouteUnknown);
    let page = problem["type"].as_str().unwrap();
    let page = world.call_with("GET", page, "", &headers).await.is(200);
    assert_eq!(page.header("content-type"), "text/markdown; charset=utf-8");
    assert!(page.text.starts_with("# CX-6020 "), "{}", page.text);
    let none = world.get("/docs/errors/CX-0000").await;
    none.problem(404, Code::RouteUnknown);
    assert_eq!(json!(Code::RouteUnknown.as_str()), "CX-6020");
}
