//! Against real servers on this machine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::*;
use crate::testing::{ALLOWED, ALSO_ALLOWED, call, out, serve, target, text};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{any, get};
use caxton_core::model::{Image, Part};
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// Says again what it was asked with.
async fn echo(request: Request) -> impl IntoResponse {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
    let headers: serde_json::Map<String, Value> = headers.collect();
    axum::Json(json!({
        "method": head.method.as_str(),
        "uri": head.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8(body.to_vec()).unwrap(),
    }))
}

fn tool(at: SocketAddr, auth: Value, function: Value) -> Value {
    let mut function = function;
    function["name"] = json!("f");
    if function["input"].is_null() {
        function["input"] = json!({"type": "object", "properties": {"id": {}, "to": {}}});
    }
    json!({
        "kind": "http", "base_url": format!("http://{at}/base/"), "auth": auth,
        "functions": [function],
    })
}

fn asked(tool: Value, secret: Option<&str>, arguments: Value) -> ToolCall {
    let target = Arc::new(target(Some(tool), secret));
    let Some(Definition::Http(tool)) = &target.definition else {
        panic!()
    };
    let function = tool.functions[0].function.clone();
    call(&target, function, arguments)
}

async fn run(call: ToolCall) -> Result<ToolAnswer, ToolFault> {
    HttpTools::new(out()).call(call).await
}

async fn said(call: ToolCall) -> Value {
    let answer = run(call).await.unwrap();
    serde_json::from_str(&text(&answer)).unwrap()
}

#[tokio::test]
async fn arguments_go_where_the_function_says() {
    let at = serve(ALLOWED, Router::new().fallback(echo)).await;
    let function = json!({
        "method": "POST", "path": "/pets/{id}/x", "headers": [["X-Fixed", "1"]],
        "places": [["q", "query"], ["X-Arg", "header"]],
    });
    let arguments = json!({
        "id": "a b", "q": ["1", "2&3"], "X-Arg": "v", "name": "Ann", "age": 3, "none": null,
    });
    let tool = tool(at, json!("bearer"), function);
    let saw = said(asked(tool, Some("s3cret-token"), arguments)).await;
    assert_eq!(saw["method"], "POST");
    assert_eq!(saw["uri"], "/base/pets/a%20b/x?q=1&q=2%263");
    let headers = &saw["headers"];
    // The answer has it: what a model is told has not.
    assert_eq!(headers["authorization"], "Bearer [redacted]");
    assert_eq!(headers["idempotency-key"], "key-1");
    assert_eq!(
        (&headers["x-fixed"], &headers["x-arg"]),
        (&json!("1"), &json!("v"))
    );
    assert_eq!(headers["content-type"], "application/json");
    let body: Value = serde_json::from_str(saw["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({"name": "Ann", "age": 3}));
}

#[tokio::test]
async fn a_secret_goes_where_auth_says_and_no_argument_takes_its_place() {
    let at = serve(ALLOWED, Router::new().fallback(echo)).await;
    let function = json!({"method": "GET", "path": "/", "places": [["X-Key", "header"]]});
    let named = |auth| tool(at, auth, function.clone());
    let saw = said(asked(named(json!("basic")), Some("u:p"), json!({}))).await;
    assert_eq!(saw["headers"]["authorization"], "Basic dTpw");
    let mine = json!({"X-Key": "mine"});
    let saw = said(asked(
        named(json!({"header": "x-key"})),
        Some("theirs"),
        mine,
    ))
    .await;
    assert_eq!(saw["headers"]["x-key"], "[redacted]");
    let mine = json!({"key": "mine", "q": "1"});
    let saw = said(asked(named(json!({"query": "key"})), Some("theirs"), mine)).await;
    assert_eq!(saw["uri"], "/base/?q=1&key=[redacted]");
    // Nobody said that it only looks.
    assert!(saw["headers"]["idempotency-key"].is_string());
    let fault = run(asked(named(json!("bearer")), None, json!({}))).await;
    assert_eq!(fault.unwrap_err().kind, ToolFaultKind::Unavailable);
}

#[tokio::test]
async fn a_secret_that_is_said_again_in_another_shape_is_not_told() {
    let said = r#"a%2fs3cret+key a\/s3cret key YS9zM2NyZXQga2V5"#;
    let router = Router::new()
        .route("/base/ok", axum::routing::get(move || async move { said }))
        .fallback(move || async move { (StatusCode::BAD_REQUEST, said) });
    let at = serve(ALLOWED, router).await;
    for path in ["/ok", "/bad"] {
        let function = json!({"method": "GET", "path": path});
        let asked = asked(
            tool(at, json!("bearer"), function),
            Some("a/s3cret key"),
            json!({}),
        );
        let found = text(&run(asked).await.unwrap());
        let expected = "[redacted] [redacted] [redacted]";
        assert!(found.ends_with(expected), "{found}");
    }
}

#[tokio::test]
async fn no_argument_leads_to_another_endpoint() {
    let at = serve(ALLOWED, Router::new().fallback(echo)).await;
    let function = json!({"method": "GET", "path": "/pets/{id}"});
    for id in [
        "../admin",
        "..%2fadmin",
        "a/../../admin",
        "a\\..\\admin",
        "?x=1",
        "#f",
        "a;b",
        "@evil.example",
        "%2e%2e",
        "//evil.example/",
        "\r\nX: y",
        "ä",
    ] {
        let tool = tool(at, json!("none"), function.clone());
        let saw = said(asked(tool, None, json!({"id": id}))).await;
        let uri = saw["uri"].as_str().unwrap();
        let rest = uri
            .strip_prefix("/base/pets/")
            .unwrap_or_else(|| panic!("{id}: {uri}"));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"%-._~".contains(&b);
        assert!(rest.bytes().all(plain), "{id}: {uri}");
    }
    for id in [
        json!("."),
        json!(".."),
        json!(""),
        Value::Null,
        json!({"a": 1}),
    ] {
        let tool = tool(at, json!("none"), function.clone());
        let fault = run(asked(tool, None, json!({"id": id}))).await.unwrap_err();
        assert_eq!(fault.kind, ToolFaultKind::Arguments, "{id}");
    }
    // Nor does one end a header.
    let function = json!({"method": "GET", "path": "/", "places": [["X", "header"]]});
    let tool = tool(at, json!("none"), function);
    let fault = run(asked(tool, None, json!({"X": "a\r\nB: c"})))
        .await
        .unwrap_err();
    assert_eq!(fault.kind, ToolFaultKind::Arguments);
}

fn plain(at: SocketAddr, method: &str, path: &str) -> Value {
    let function = json!({"method": method, "path": path});
    tool(at, json!("none"), function)
}

#[tokio::test]
async fn redirects_of_reads_are_followed_without_secrets_and_of_acts_are_not() {
    let other = serve(ALSO_ALLOWED, Router::new().fallback(echo)).await;
    let sends = Router::new()
        .route(
            "/base/away",
            any(move || async move { Redirect::temporary(&format!("http://{other}/x")) }),
        )
        .route(
            "/base/inner",
            any(|| async { Redirect::temporary("http://127.0.0.1:1/") }),
        )
        .route(
            "/base/metadata",
            any(|| async { Redirect::temporary("http://[::ffff:a9fe:a9fe]/") }),
        )
        .route(
            "/base/file",
            any(|| async { Redirect::temporary("file:///etc/passwd") }),
        )
        .route(
            "/base/loop",
            any(|| async { Redirect::temporary("/base/loop") }),
        )
        .route("/base/done", any(|| async { Redirect::to("/base/seen") }))
        .route("/base/seen", any(echo));
    let at = serve(ALLOWED, sends).await;
    let secret = |path: &str, method: &str| {
        let function = json!({"method": method, "path": path, "headers": [["X-Api", "k"]]});
        asked(
            tool(at, json!("bearer"), function),
            Some("s3cret-token"),
            json!({}),
        )
    };
    let saw = said(secret("/away", "GET")).await;
    assert_eq!(saw["uri"], "/x");
    for name in ["authorization", "x-api", "idempotency-key", "traceparent"] {
        assert!(saw["headers"].get(name).is_none(), "{name}: {saw}");
    }
    for path in ["/inner", "/metadata", "/file"] {
        let fault = run(secret(path, "GET")).await.unwrap_err();
        assert_eq!(fault.kind, ToolFaultKind::Egress, "{path}");
    }
    let fault = run(secret("/loop", "GET")).await.unwrap_err();
    assert_eq!(fault.kind, ToolFaultKind::Unavailable);
    let answer = run(secret("/away", "POST")).await.unwrap();
    assert!(
        answer.is_error && text(&answer).contains("307"),
        "{answer:?}"
    );
    // 303 after an act: it is done, and its answer is read elsewhere.
    let saw = said(secret("/done", "POST")).await;
    assert_eq!((&saw["method"], &saw["body"]), (&json!("GET"), &json!("")));
    // The tenant's list holds at each step.
    let mut listed = secret("/away", "GET");
    listed.hosts = vec![ALLOWED.to_owned()].into();
    let fault = run(listed).await.unwrap_err();
    assert_eq!(fault.kind, ToolFaultKind::Egress);
    assert!(fault.detail.contains(ALSO_ALLOWED), "{fault}");
}

#[tokio::test]
async fn inner_addresses_are_the_operators_alone() {
    let at = serve("127.0.0.1", Router::new().fallback(echo)).await;
    let call = asked(plain(at, "GET", "/"), None, json!({}));
    let fault = run(call.clone()).await.unwrap_err();
    assert_eq!(fault.kind, ToolFaultKind::Egress);
    let trusted = ToolTarget {
        trusted: true,
        ..(*call.target).clone()
    };
    let call = ToolCall {
        target: Arc::new(trusted),
        ..call
    };
    assert_eq!(said(call).await["uri"], "/base/");
}

#[tokio::test]
async fn answers_are_read_as_far_as_they_are_of_use() {
    let endless = || async {
        let piece = Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b'x'; 64 << 10]));
        Body::from_stream(
            futures::stream::repeat_with(move || match &piece {
                Ok(piece) => Ok(piece.clone()),
                Err(_) => Err(std::io::Error::other("never")),
            })
            .take(1_600),
        )
    };
    let typed = |kind: &'static str| {
        move || async move { ([(header::CONTENT_TYPE, kind)], endless().await) }
    };
    let router = Router::new()
        .route("/base/text", get(typed("text/plain")))
        .route("/base/image", get(typed("image/png")))
        .route("/base/other", get(typed("application/zip")))
        .route(
            "/base/gzip",
            get(|| async { ([(header::CONTENT_ENCODING, "gzip")], "x") }),
        )
        .route(
            "/base/png",
            get(|| async { ([(header::CONTENT_TYPE, "image/png")], vec![1, 2, 3]) }),
        )
        .route(
            "/base/missing",
            get(|| async { (StatusCode::NOT_FOUND, "n".repeat(100_000)) }),
        )
        .route("/base/none", get(|| async { StatusCode::NO_CONTENT }))
        .route("/base/json", get(|| async { axum::Json(json!({"a": 1})) }))
        .route("/base/odd", get(|| async { "{\"a\": " }))
        .route(
            "/base/hangs",
            get(|| async {
                Body::from_stream(futures::stream::pending::<
                    Result<bytes::Bytes, std::io::Error>,
                >())
            }),
        );
    let at = serve(ALLOWED, router).await;
    let ask = |path: &str| asked(plain(at, "GET", path), None, json!({}));

    let answer = run(ask("/text")).await.unwrap();
    let found = text(&answer);
    assert!(found.len() < (64 << 10) + 100 && found.ends_with("longer]"));
    let fault = run(ask("/image")).await.unwrap_err();
    assert_eq!(fault.kind, ToolFaultKind::TooLarge);
    let answer = run(ask("/other")).await.unwrap();
    assert_eq!(
        text(&answer),
        format!("more than {} bytes of application/zip", 16 << 20)
    );
    let fault = run(ask("/gzip")).await.unwrap_err();
    assert_eq!(fault.kind, ToolFaultKind::Malformed);
    let answer = run(ask("/png")).await.unwrap();
    let image = Image::Data {
        media_type: "image/png".to_owned(),
        data: "AQID".to_owned(),
    };
    assert_eq!(answer.parts, [Part::Image { image }]);
    let answer = run(ask("/missing")).await.unwrap();
    assert!(answer.is_error && text(&answer).starts_with("HTTP 404\nnnn"));
    assert!(text(&answer).len() < 5_000);
    let answer = run(ask("/none")).await.unwrap();
    assert_eq!(text(&answer), "HTTP 204, with nothing in it");

    let shaped = |path: &str| {
        let function = json!({"method": "GET", "path": path, "output": {"type": "object"}});
        asked(tool(at, json!("none"), function), None, json!({}))
    };
    let answer = run(shaped("/json")).await.unwrap();
    assert_eq!(answer.structured, Some(json!({"a": 1})));
    let fault = run(shaped("/odd")).await.unwrap_err();
    assert_eq!(fault.kind, ToolFaultKind::Malformed);

    let mut waits = ask("/hangs");
    waits.timeout = Duration::from_millis(50);
    assert_eq!(run(waits).await.unwrap_err().kind, ToolFaultKind::Timeout);
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let closed = {
        let listener = std::net::TcpListener::bind((ALLOWED, 0)).unwrap();
        listener.local_addr().unwrap()
    };
    let fault = run(asked(plain(closed, "GET", "/"), None, json!({}))).await;
    assert_eq!(fault.unwrap_err().kind, ToolFaultKind::Unavailable);
    let mut call = asked(plain(closed, "GET", "/"), None, json!({}));
    call.function = Arc::new(crate::testing::function("gone"));
    assert_eq!(run(call).await.unwrap_err().kind, ToolFaultKind::NotFound);
    let call = asked(plain(closed, "GET", "/"), None, json!({}));
    let found = HttpTools::new(out())
        .describe(Arc::clone(&call.target))
        .await;
    assert_eq!(found.unwrap()[0].name.as_str(), "f");
}
