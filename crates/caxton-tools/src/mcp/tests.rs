//! Against hostile servers on this machine; the reference servers are in `reference`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::type_complexity
)]

mod programs;
mod reference;
mod revisions;

use super::*;
use crate::testing::{ALLOWED, ALSO_ALLOWED, call, function, out, serve, target, text};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use caxton_core::model::{Image, Part};
use futures::{Stream, StreamExt as _};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::sync::Notify;

/// What a request of ours is answered with.
type Answers = dyn Fn(&Value) -> Response + Send + Sync;

/// A server that greets as 2025-11-25 has it, and answers the rest as the test says.
struct Fake {
    at: SocketAddr,
    heard: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    told: Arc<Notify>,
}

impl Fake {
    async fn new(answers: impl Fn(&Value) -> Response + Send + Sync + 'static) -> Self {
        Self::at(ALLOWED, answers).await
    }

    async fn at(
        address: &str,
        answers: impl Fn(&Value) -> Response + Send + Sync + 'static,
    ) -> Self {
        let heard = Arc::<Mutex<Vec<(HeaderMap, Value)>>>::default();
        let told = Arc::<Notify>::default();
        let (hears, tells) = (Arc::clone(&heard), Arc::clone(&told));
        let answers: Arc<Answers> = Arc::new(answers);
        let answer = move |request: Request| {
            let (hears, tells) = (Arc::clone(&hears), Arc::clone(&tells));
            let answers = Arc::clone(&answers);
            async move {
                let (head, body) = request.into_parts();
                if head.method != Method::POST {
                    return StatusCode::METHOD_NOT_ALLOWED.into_response();
                }
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let said: Value = serde_json::from_slice(&body).unwrap();
                hears.lock().push((head.headers, said.clone()));
                tells.notify_waiters();
                match said["method"].as_str() {
                    Some("server/discover") => error(&said, -32601, "no such method"),
                    Some("initialize") => result(
                        &said,
                        json!({
                            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                            "serverInfo": {"name": "fake", "version": "1"},
                        }),
                    ),
                    Some(method) if method.starts_with("notifications/") => {
                        StatusCode::ACCEPTED.into_response()
                    }
                    None => StatusCode::ACCEPTED.into_response(),
                    Some(_) => answers(&said),
                }
            }
        };
        let at = serve(address, Router::new().fallback(answer)).await;
        Self { at, heard, told }
    }

    /// One that answers everything itself.
    async fn only(
        address: &str,
        answers: impl Fn(&HeaderMap, &Value) -> Response + Send + Sync + 'static,
    ) -> Self {
        let heard = Arc::<Mutex<Vec<(HeaderMap, Value)>>>::default();
        let (hears, answers) = (Arc::clone(&heard), Arc::new(answers));
        let answer = move |headers: HeaderMap, body: Bytes| {
            let said: Value = serde_json::from_slice(&body).unwrap();
            hears.lock().push((headers.clone(), said.clone()));
            let answer = answers(&headers, &said);
            std::future::ready(answer)
        };
        let at = serve(address, Router::new().fallback(answer)).await;
        Self {
            at,
            heard,
            told: Arc::default(),
        }
    }

    fn target(&self) -> Arc<ToolTarget> {
        Arc::new(target(Some(tool(&format!("http://{}/mcp", self.at))), None))
    }

    /// Waits until it has heard such a message.
    async fn heard(&self, is: impl Fn(&Value) -> bool) -> Value {
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            if let Some((_, found)) = self.heard.lock().iter().find(|(_, it)| is(it)) {
                return found.clone();
            }
            told.await;
        }
    }

    fn count(&self, method: &str) -> usize {
        let heard = self.heard.lock();
        heard
            .iter()
            .filter(|(_, it)| it["method"] == method)
            .count()
    }
}

fn tool(url: &str) -> Value {
    json!({"kind": "mcp", "place": {"url": url}})
}

fn json_response(value: Value) -> Response {
    axum::Json(value).into_response()
}

fn result(to: &Value, result: Value) -> Response {
    json_response(json!({"jsonrpc": "2.0", "id": to["id"], "result": result}))
}

fn error(to: &Value, code: i64, message: &str) -> Response {
    let error = json!({"code": code, "message": message});
    json_response(json!({"jsonrpc": "2.0", "id": to["id"], "error": error}))
}

fn says(to: &Value, text: &str) -> Response {
    result(to, json!({"content": [{"type": "text", "text": text}]}))
}

fn events(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

fn event(value: &Value) -> String {
    format!("event: message\ndata: {value}\n\n")
}

fn tools() -> McpTools {
    McpTools::new(out(), Options::default())
}

async fn fault(answers: impl Fn(&Value) -> Response + Send + Sync + 'static) -> ToolFault {
    let fake = Fake::new(answers).await;
    let call = call(&fake.target(), function("f"), json!({}));
    tools().call(call).await.unwrap_err()
}

#[tokio::test]
async fn a_call_says_what_it_must_and_its_answer_is_parts() {
    let fake = Fake::new(|asked| {
        let content = json!([
            {"type": "text", "text": "one"},
            {"type": "image", "data": "AQID", "mimeType": "image/png"},
            {"type": "image", "data": "<svg>", "mimeType": "image/svg+xml"},
            {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "two"}},
            {"type": "resource", "resource": {"uri": "x:b", "blob": "AQID", "mimeType": "image/gif"}},
            {"type": "resource_link", "uri": "https://c", "name": "c", "description": "three"},
        ]);
        let answer = json!({"content": content, "structuredContent": {"a": 1}, "isError": true});
        result(asked, answer)
    })
    .await;
    let call = call(&fake.target(), function("f"), json!({"x": 1}));
    let answer = tools().call(call).await.unwrap();
    assert!(answer.is_error);
    assert_eq!(answer.structured, Some(json!({"a": 1})));
    assert_eq!(
        text(&answer),
        "one\n[about 3 bytes of image/svg+xml]\n[about 3 bytes of audio/wav]\n[file:///a]\ntwo\n\
         [https://c] c: three"
    );
    let pictures = answer.parts.iter().filter_map(|part| match part {
        Part::Image {
            image: Image::Data { media_type, data },
        } => Some((&**media_type, &**data)),
        _ => None,
    });
    assert_eq!(
        pictures.collect::<Vec<_>>(),
        [("image/png", "AQID"), ("image/gif", "AQID")]
    );
    let asked = fake.heard(|it| it["method"] == "tools/call").await;
    assert_eq!(asked["params"]["name"], "f");
    assert_eq!(asked["params"]["arguments"], json!({"x": 1}));
    assert_eq!(asked["params"]["_meta"]["caxton/idempotency-key"], "key-1");
    let greeting = fake.heard(|it| it["method"] == "initialize").await;
    assert_eq!(greeting["params"]["capabilities"], json!({}));
}

#[tokio::test]
async fn long_texts_are_cut_and_said_to_be() {
    let fake = Fake::new(|asked| says(asked, &"x".repeat(200_000))).await;
    let call = call(&fake.target(), function("f"), json!({}));
    let answer = tools().call(call).await.unwrap();
    let found = text(&answer);
    assert!(found.len() < 70_000 && found.ends_with("longer]"));
}

#[tokio::test]
async fn a_server_that_says_its_credential_again_does_not_tell_it() {
    let list = json!({"tools": [{
        "name": "f", "description": "with s3cret-token", "inputSchema": {"type": "object"},
    }]});
    let fake = Fake::new(move |asked| match asked["method"].as_str() {
        Some("tools/list") => result(asked, list.clone()),
        _ if asked["params"]["name"] == "fails" => error(asked, -32603, "no s3cret-token here"),
        _ => says(asked, "s3cret-token, czNjcmV0LXRva2Vu"),
    })
    .await;
    let with = json!({
        "kind": "mcp", "place": {"url": format!("http://{}/mcp", fake.at)}, "auth": "bearer",
    });
    let target = Arc::new(target(Some(with), Some("s3cret-token")));
    let tools = tools();
    let asked = call(&target, function("f"), json!({}));
    let answer = tools.call(asked).await.unwrap();
    assert_eq!(text(&answer), "[redacted], [redacted]");
    let asked = call(&target, function("fails"), json!({}));
    let fault = tools.call(asked).await.unwrap_err();
    assert_eq!(fault.detail, "the MCP server answered: no [redacted] here");
    let described = tools.describe(target).await.unwrap();
    assert_eq!(described[0].description, "with [redacted]");
}

#[tokio::test]
async fn a_secret_is_shown_where_auth_says_and_addresses_are_decided_upon() {
    let fake = Fake::new(|asked| says(asked, "hello")).await;
    let url = format!("http://{}/mcp", fake.at);
    let with = |auth: Value| {
        let tool = json!({"kind": "mcp", "place": {"url": url}, "auth": auth});
        Arc::new(target(Some(tool), Some("s3cret-token")))
    };
    for (auth, name, value) in [
        (json!("bearer"), "authorization", "Bearer s3cret-token"),
        (json!({"header": "X-Key"}), "x-key", "s3cret-token"),
    ] {
        let call = call(&with(auth), function("f"), json!({}));
        assert_eq!(text(&tools().call(call).await.unwrap()), "hello");
        let heard = std::mem::take(&mut *fake.heard.lock());
        assert!(heard.len() >= 3);
        assert!(heard.iter().all(|(headers, _)| headers[name] == value));
    }
    // A tenant's tool reaches no inner address, and no host that the tenant did not allow.
    let inner = Fake::at("127.0.0.1", |asked| says(asked, "inner")).await;
    let asked = call(&inner.target(), function("f"), json!({}));
    let refused = tools().call(asked.clone()).await.unwrap_err();
    assert_eq!(refused.kind, ToolFaultKind::Egress);
    assert!(inner.heard.lock().is_empty());
    let operators = ToolTarget {
        trusted: true,
        ..(*asked.target).clone()
    };
    let mut asked = asked;
    asked.target = Arc::new(operators);
    assert_eq!(text(&tools().call(asked).await.unwrap()), "inner");
    let mut listed = call(&fake.target(), function("f"), json!({}));
    listed.hosts = vec!["example.com".to_owned()].into();
    let refused = tools().call(listed).await.unwrap_err();
    assert_eq!(refused.kind, ToolFaultKind::Egress);
    // A credential that is refused, and a server that sends elsewhere.
    let deny = Router::new().fallback(|| async { StatusCode::UNAUTHORIZED });
    let deny = serve(ALLOWED, deny).await;
    let away = Router::new().fallback(|| async { Redirect::temporary("http://127.0.0.3:1/") });
    let away = serve(ALLOWED, away).await;
    assert_ne!(ALLOWED, ALSO_ALLOWED);
    for at in [deny, away] {
        let target = Arc::new(target(Some(tool(&format!("http://{at}/"))), None));
        let refused = tools().call(call(&target, function("f"), json!({}))).await;
        assert_eq!(refused.unwrap_err().kind, ToolFaultKind::Unavailable);
    }
}

fn listed(name: &str, more: Value) -> Value {
    let mut tool = json!({"name": name, "inputSchema": {"type": "object"}});
    for (key, value) in more.as_object().unwrap() {
        tool[key] = value.clone();
    }
    tool
}

#[tokio::test]
async fn what_a_server_offers_is_read_and_not_believed() {
    let fake = Fake::new(|asked| {
        let hints = json!({"annotations": {"readOnlyHint": true}, "description": "d"});
        match asked["params"]["cursor"].as_str() {
            None => result(
                asked,
                json!({"tools": [listed("a", hints), listed("no name", json!({}))], "nextCursor": "2"}),
            ),
            Some(_) => result(asked, json!({"tools": [listed("b.c", json!({"title": "t"}))]})),
        }
    })
    .await;
    let names = |functions: &[Function]| -> Vec<_> {
        let both = functions.iter();
        both.map(|it| (it.name.to_string(), it.description.clone(), it.effect))
            .collect()
    };
    let found = tools().describe(fake.target()).await.unwrap();
    let (a, b) = (("a", "d"), ("b.c", "t"));
    let named = |(name, what): (&str, &str), effect| (name.to_owned(), what.to_owned(), effect);
    assert_eq!(
        names(&found),
        [named(a, Effect::Acts), named(b, Effect::Acts)]
    );
    let mut operators = (*fake.target()).clone();
    operators.trusted = true;
    let Some(Definition::Mcp(tool)) = &mut operators.definition else {
        panic!()
    };
    tool.only = vec![found[0].name.clone()];
    let operators = Arc::new(operators);
    let found = tools().describe(Arc::clone(&operators)).await.unwrap();
    assert_eq!(names(&found), [named(a, Effect::Reads)]);
    // What is not offered is not called.
    let asked = call(&operators, function("b.c"), json!({}));
    assert_eq!(
        tools().call(asked).await.unwrap_err().kind,
        ToolFaultKind::NotFound
    );
}

#[tokio::test]
async fn lists_without_end_are_given_up() {
    let describe = async |page: fn(&Value) -> Value| {
        let fake = Fake::new(move |asked| result(asked, page(asked))).await;
        tools().describe(fake.target()).await.unwrap_err().kind
    };
    let circle = describe(|_| json!({"tools": [], "nextCursor": "again"})).await;
    assert_eq!(circle, ToolFaultKind::Malformed);
    let many = describe(|_| {
        let tools = (0..300).map(|it| listed(&format!("t{it}"), json!({})));
        json!({"tools": tools.collect::<Vec<_>>()})
    });
    assert_eq!(many.await, ToolFaultKind::TooLarge);
    let pages = describe(|asked| json!({"tools": [], "nextCursor": asked["id"].to_string()})).await;
    assert_eq!(pages, ToolFaultKind::TooLarge);
}

#[tokio::test]
async fn answers_that_are_too_large_or_no_messages_are_faults() {
    let large_body = || {
        let piece = Bytes::from(vec![b'x'; 1 << 20]);
        Body::from_stream(endless(piece).take(100))
    };
    let large = fault(move |_| {
        let head = [(header::CONTENT_TYPE, "application/json")];
        (head, large_body()).into_response()
    });
    assert_eq!(large.await.kind, ToolFaultKind::TooLarge);
    let large = fault(move |_| events(large_body())).await;
    assert_eq!(large.kind, ToolFaultKind::TooLarge);
    for body in ["{", "[]", "{\"jsonrpc\": \"2.0\"}", "<html>"] {
        let head = [(header::CONTENT_TYPE, "application/json")];
        let found = fault(move |_| (head.clone(), body).into_response()).await;
        assert_eq!(found.kind, ToolFaultKind::Malformed, "{body}: {found}");
    }
    let html = fault(|_| axum::response::Html("<html>").into_response()).await;
    assert_eq!(html.kind, ToolFaultKind::Malformed);
    let down = fault(|_| StatusCode::BAD_GATEWAY.into_response()).await;
    assert_eq!(down.kind, ToolFaultKind::Unavailable);
    let other = fault(|asked| result(asked, json!({"tools": []}))).await;
    assert_eq!(other.kind, ToolFaultKind::Malformed);
    for (code, kind) in [
        (-32601, ToolFaultKind::NotFound),
        (-32602, ToolFaultKind::Arguments),
        (-32603, ToolFaultKind::Failed),
    ] {
        let found = fault(move |asked| error(asked, code, &"e".repeat(5_000))).await;
        assert_eq!(found.kind, kind);
        assert!(found.detail.len() < 1_200);
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_told_that_it_was_given_up() {
    let fake = Fake::new(|_| events(Body::from_stream(pending()))).await;
    let mut waits = call(&fake.target(), function("f"), json!({}));
    waits.timeout = Duration::from_millis(500);
    let late = tools();
    let found = late.call(waits).await.unwrap_err();
    assert_eq!(found.kind, ToolFaultKind::Timeout);
    let asked = fake.heard(|it| it["method"] == "tools/call").await;
    let given_up = fake
        .heard(|it| it["method"] == "notifications/cancelled")
        .await;
    assert_eq!(given_up["params"]["requestId"], asked["id"]);
}

fn endless(piece: Bytes) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    futures::stream::repeat_with(move || Ok(piece.clone()))
}

fn pending() -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    futures::stream::pending()
}

#[tokio::test]
async fn a_server_that_vanishes_is_asked_again_where_that_does_no_harm() {
    let breaks = || {
        let broken = Err(std::io::Error::other("gone"));
        let half = Ok(Bytes::from_static(b"{\"jsonrpc\""));
        let body = Body::from_stream(futures::stream::iter([half, broken]));
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    };
    let found = fault(move |_| breaks()).await;
    assert_eq!(found.kind, ToolFaultKind::Unavailable);
    // A session that the server has forgotten begins again by itself.
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counts = Arc::clone(&count);
    let fake = Fake::new(move |asked| {
        if counts.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            return breaks();
        }
        says(asked, "hello")
    })
    .await;
    let tools = tools();
    let asked = call(&fake.target(), function("f"), json!({}));
    assert_eq!(text(&tools.call(asked.clone()).await.unwrap()), "hello");
    let broken = tools.call(asked.clone()).await.unwrap_err();
    assert_eq!(broken.kind, ToolFaultKind::Unavailable);
    assert_eq!(text(&tools.call(asked).await.unwrap()), "hello");
}

#[tokio::test]
async fn floods_end_the_connection() {
    for notification in [
        json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}),
        json!({"jsonrpc": "2.0", "method": "notifications/message",
               "params": {"level": "info", "data": "x"}}),
        json!({"jsonrpc": "2.0", "method": "notifications/of/its/own", "params": {}}),
        json!({"jsonrpc": "2.0", "id": 7, "method": "ping"}),
    ] {
        let flood = event(&notification).repeat(100);
        let found = fault(move |_| {
            let pieces = endless(Bytes::from(flood.clone()));
            events(Body::from_stream(pieces))
        });
        let found = found.await;
        assert_eq!(found.kind, ToolFaultKind::Malformed, "{found}");
        assert!(found.detail.contains("unasked"), "{found}");
    }
}

#[tokio::test]
async fn what_a_server_asks_for_is_refused() {
    for (method, params) in [
        (
            "sampling/createMessage",
            json!({"messages": [], "maxTokens": 10}),
        ),
        (
            "elicitation/create",
            json!({"message": "password?", "requestedSchema": {"type": "object", "properties": {}}}),
        ),
        ("roots/list", json!({})),
        ("tasks/list", json!({})),
    ] {
        let asks = json!({"jsonrpc": "2.0", "id": "q-1", "method": method, "params": params});
        let fake = Fake::new(move |asked| {
            let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {
                "content": [{"type": "text", "text": "hello"}],
            }});
            events(Body::from(event(&asks) + &event(&answer)))
        })
        .await;
        let tools = tools();
        let asked = call(&fake.target(), function("f"), json!({}));
        assert_eq!(text(&tools.call(asked).await.unwrap()), "hello");
        let refused = fake.heard(|it| it["id"] == "q-1").await;
        assert_eq!(refused["error"]["code"], -32601, "{method}: {refused}");
    }
}

#[tokio::test]
async fn connections_are_kept_for_one_tenant_and_revision_and_are_few() {
    let fake = Fake::new(|asked| says(asked, "hello")).await;
    let options = Options {
        connections_per_tenant_max: 2,
        idle_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let tools = McpTools::new(out(), options);
    let run = async |target: &Arc<ToolTarget>| {
        let asked = call(target, function("f"), json!({}));
        tools.call(asked).await.unwrap();
    };
    let first = fake.target();
    run(&first).await;
    run(&first).await;
    assert_eq!(fake.count("initialize"), 1);
    let other = Arc::new(ToolTarget {
        tenant: TenantId::parse("other").unwrap(),
        ..(*first).clone()
    });
    run(&other).await;
    assert_eq!(fake.count("initialize"), 2);
    let newer = Arc::new(ToolTarget {
        revision: 2,
        ..(*first).clone()
    });
    run(&newer).await;
    let newest = Arc::new(ToolTarget {
        revision: 3,
        ..(*first).clone()
    });
    // One too many: the one that was idle for longest goes, of this tenant.
    run(&newest).await;
    assert_eq!(tools.inner.pool.len(), 3);
    tools.forget(&first.tenant, &first.name);
    assert_eq!(tools.inner.pool.len(), 1);
    let emptied = async {
        while tools.inner.pool.len() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), emptied)
        .await
        .unwrap();
}
