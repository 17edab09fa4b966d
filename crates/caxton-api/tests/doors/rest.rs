//! REST as a stranger meets it: statuses, shapes, and what bad requests get.

use std::sync::Arc;

use axum::body::Body;
use caxton_api::rest::Options;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::fake::Fake;
use crate::router;

/// A request without a network; answers status, headers and body (null where there is none).
pub async fn call(fake: &Arc<Fake>, request: Request<String>) -> (StatusCode, HeaderMap, Value) {
    let options = Options {
        body_bytes_max: 4_096,
        upload_bytes_max: 8_192,
        ..Options::default()
    };
    let response = router(fake, options)
        .oneshot(request.map(Body::from))
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body).unwrap()
    };
    (parts.status, parts.headers, body)
}

fn request(method: &str, path: &str, body: &str) -> Request<String> {
    let request = Request::builder().method(method).uri(path);
    request
        .header("content-type", "application/json")
        .body(body.to_owned())
        .unwrap()
}

async fn ask(method: &str, path: &str, body: &str) -> (StatusCode, Value) {
    let (status, _, body) = call(&Arc::new(Fake::default()), request(method, path, body)).await;
    (status, body)
}

#[tokio::test]
async fn statuses_say_what_happened() {
    let check = async |method, path, body, expected| {
        let (status, answer) = ask(method, path, body).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
    };
    let message = r#"{"performative":"request","receiver":[{"name":"b"}],"content":"hi"}"#;
    check("POST", "/v1/agents", r#"{"manifest":"m"}"#, 201).await;
    check("PUT", "/v1/agents/a", r#"{"manifest":"m"}"#, 200).await;
    check("POST", "/v1/agents/a/start", "", 200).await;
    check("POST", "/v1/agents/a/start", "{}", 200).await;
    check("DELETE", "/v1/agents/a", "", 204).await;
    check("POST", "/v1/messages", message, 202).await;
    check("POST", "/v1/messages?wait=5s", message, 200).await;
    check("POST", "/v1/deadLetters/d/resend", "", 202).await;
    check("POST", "/v1/backups", "", 201).await;
    check("HEAD", "/v1/agents/a", "", 200).await;
}

#[tokio::test]
async fn a_file_is_its_bytes_and_inert_in_a_browser() {
    let request = request("GET", "/v1/sessions/s/files/a/b%20c.html", "");
    let fake = Arc::new(Fake::default());
    let response = router(&fake, Options::default());
    let response = response.oneshot(request.map(Body::from)).await.unwrap();
    assert_eq!(response.status(), 200);
    let (parts, body) = response.into_parts();
    assert_eq!(parts.headers["content-type"], "text/html");
    assert_eq!(parts.headers["x-content-type-options"], "nosniff");
    let policy = parts.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("sandbox; default-src 'none';"),
        "{policy}"
    );
    assert!(!policy.contains("script"), "{policy}");
    assert_eq!(
        body.collect().await.unwrap().to_bytes().as_ref(),
        [0, 255, 10]
    );
    let seen = fake.take();
    assert!(seen[0].1.contains("path: \"a/b c.html\""), "{}", seen[0].1);
}

#[tokio::test]
async fn answers_have_every_field_in_lower_camel_case() {
    let (_, message) = ask("GET", "/v1/messages/m1", "").await;
    assert_eq!(message["contentBase64"], "AP8K");
    assert_eq!(message["hop"], 0);
    assert_eq!(message["userParameters"], json!({"X-a": "1"}));
    assert_eq!(message["deliveries"][0]["attempts"], 0);
    // What is not there is absent, and not an empty text.
    assert_eq!(message.get("conversationId"), None);
    let (_, agent) = ask("GET", "/v1/agents/a", "").await;
    assert_eq!(agent["createTime"], "2026-11-22T05:09:22.049Z");
    assert_eq!(agent["limits"]["fuelPerMessageMax"], "18446744073709551615");
    assert_eq!(agent["stats"]["messagesHandled"], "0");
}

#[tokio::test]
async fn both_spellings_of_a_name_are_read() {
    let fake = Arc::new(Fake::default());
    for query in [
        "conversationId=c&pageSize=1",
        "conversation_id=c&page_size=1",
    ] {
        call(&fake, request("GET", &format!("/v1/messages?{query}"), "")).await;
    }
    let seen = fake.take();
    assert_eq!(seen[0].1, seen[1].1);
    assert!(
        seen[0].1.contains(r#"conversation_id: "c""#),
        "{}",
        seen[0].1
    );
}

#[tokio::test]
async fn bad_requests_get_a_problem_that_names_the_fault() {
    let check = async |method, path, body: &str, expected: u16, code, named: &str| {
        let fake = Arc::new(Fake::default());
        let (status, headers, problem) = call(&fake, request(method, path, body)).await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (expected, Some(code)),
            "{path} {problem}"
        );
        assert_eq!(headers["content-type"], "application/problem+json");
        assert_eq!(problem["status"], expected);
        assert_eq!(problem["instance"], path.split('?').next().unwrap());
        assert!(
            problem["detail"].as_str().unwrap().contains(named),
            "{named}: {problem}"
        );
        assert!(problem["title"].is_string() && problem["type"].is_string());
        assert!(
            fake.take().is_empty(),
            "{path}: the server was asked all the same"
        );
    };
    let deep = format!(r#"{{"manifest":{}1{}}}"#, "[".repeat(64), "]".repeat(64));
    check(
        "POST",
        "/v1/messages",
        r#"{"performativ":"inform"}"#,
        400,
        "CX-1014",
        "`performativ`",
    )
    .await;
    check(
        "POST",
        "/v1/messages",
        r#"{"receiver":[{"name":"a","x":1}]}"#,
        400,
        "CX-1014",
        "`x`",
    )
    .await;
    check(
        "POST",
        "/v1/messages",
        r#"{"performative":1}"#,
        400,
        "CX-1022",
        "expected a string",
    )
    .await;
    check(
        "POST",
        "/v1/messages",
        r#"{"content":"a","contentBase64":""}"#,
        400,
        "CX-1022",
        "exclude",
    )
    .await;
    check(
        "POST",
        "/v1/messages",
        r#"{"content":"a","content":"a"}"#,
        400,
        "CX-1013",
        "`content` a second",
    )
    .await;
    check(
        "POST",
        "/v1/messages",
        r#"{"content":"\ud800"}"#,
        400,
        "CX-1013",
        "surrogate",
    )
    .await;
    check("POST", "/v1/messages", "{", 400, "CX-1013", "byte 1").await;
    check("POST", "/v1/messages", "", 400, "CX-1013", "no body").await;
    check("POST", "/v1/agents", &deep, 400, "CX-1013", "nested").await;
    check(
        "POST",
        "/v1/messages",
        &" ".repeat(4_097),
        413,
        "CX-1021",
        "4096",
    )
    .await;
    check(
        "POST",
        "/v1/agents",
        &" ".repeat(8_193),
        413,
        "CX-1021",
        "8192",
    )
    .await;
    check(
        "POST",
        "/v1/messages?wiat=5s",
        "{}",
        400,
        "CX-1014",
        "did you mean `wait`",
    )
    .await;
    check(
        "GET",
        "/v1/agents?pageSize=x",
        "",
        400,
        "CX-1022",
        "`pageSize`",
    )
    .await;
    check("GET", "/v1/agents/a?x=1", "", 400, "CX-1014", "`x`").await;
    check("GET", "/v1/agents/%ff", "", 400, "CX-1022", "UTF-8").await;
    check(
        "GET",
        "/v1/agents/a/logs?follow=yes",
        "",
        400,
        "CX-1022",
        "`follow`",
    )
    .await;
    check(
        "PUT",
        "/v1/agents/a",
        r#"{"agent":"b","manifest":""}"#,
        400,
        "CX-1022",
        "`agent`",
    )
    .await;
    check("GET", "/v1/nothing", "", 404, "CX-6020", "/v1/nothing").await;
    check("PATCH", "/v1/agents", "", 405, "CX-6021", "PATCH").await;
}

#[tokio::test]
async fn a_body_must_say_it_is_json() {
    let check = async |kind: Option<&str>, expected| {
        let mut request = Request::post("/v1/messages");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let request = request
            .body(r#"{"performative":"inform"}"#.to_owned())
            .unwrap();
        let (status, _, _) = call(&Arc::new(Fake::default()), request).await;
        assert_eq!(status, expected, "{kind:?}");
    };
    check(Some("application/json"), 202).await;
    check(Some("Application/JSON; charset=utf-8"), 202).await;
    check(Some("application/fipa+json"), 202).await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "",
    ] {
        check(Some(kind), 415).await;
    }
    check(None, 415).await;
}

#[tokio::test]
async fn a_body_without_a_length_is_limited_as_it_comes() {
    let chunk = bytes::Bytes::from_static(&[b' '; 1_000]);
    let chunks = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
    let request = Request::post("/v1/messages").header("content-type", "application/json");
    let request = request.body(Body::from_stream(chunks)).unwrap();
    let options = Options {
        body_bytes_max: 4_096,
        ..Options::default()
    };
    let router = router(&Arc::new(Fake::default()), options);
    assert_eq!(router.oneshot(request).await.unwrap().status(), 413);
}

#[tokio::test]
async fn a_trace_stands_in_the_problem() {
    let request = Request::get("/v1/agents/missing")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .body(String::new())
        .unwrap();
    let (status, _, problem) = call(&Arc::new(Fake::default()), request).await;
    assert_eq!(status, 404);
    assert_eq!(problem["traceId"], "0af7651916cd43dd8448eb211c80319c");
}
