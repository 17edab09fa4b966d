//! The Model Context Protocol at `/mcp`: what a key is offered, what is called by it, and who stays out.

use serde_json::{Value, json};

use crate::support::{Reply, World, guard};
use crate::tools::http;

const ACCEPT: (&str, &str) = ("accept", "application/json, text/event-stream");
const REVISION: (&str, &str) = ("mcp-protocol-version", "2025-11-25");

async fn post(world: &World, key: &str, message: Value, more: &[(&str, &str)]) -> Reply {
    let mut headers = vec![("authorization", ""), ("x-api-key", key), ACCEPT];
    headers.extend(more);
    world
        .call_with("POST", "/mcp", &message.to_string(), &headers)
        .await
}

/// The result of a request; an error is one, too.
async fn ask(world: &World, key: &str, method: &str, params: Value) -> Value {
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let answer = post(world, key, message, &[REVISION]).await.is(200).json();
    assert_eq!(answer["id"], 7, "{answer}");
    answer
}

async fn names(world: &World, key: &str) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let params = match &cursor {
            Value::Null => json!({}),
            cursor => json!({"cursor": cursor}),
        };
        let listed = ask(world, key, "tools/list", params).await;
        let tools = listed["result"]["tools"].as_array().unwrap().iter();
        names.extend(tools.map(|it| it["name"].as_str().unwrap().to_owned()));
        cursor = listed["result"]["nextCursor"].clone();
        if cursor.is_null() {
            return names;
        }
    }
}

async fn call(world: &World, key: &str, name: &str, arguments: Value) -> Value {
    let params = json!({"name": name, "arguments": arguments});
    ask(world, key, "tools/call", params).await
}

async fn acme(world: &World) -> String {
    world.tenant("acme").await;
    let (_, key) = world.key("acme", "admin", &[]).await;
    world
        .as_key(&key, "POST", "/v1/tools", http("weather"))
        .await
        .is(201);
    let echo = crate::support::agent("echo", "echo", "");
    world.as_key(&key, "POST", "/v1/agents", echo).await.is(201);
    key
}

#[tokio::test]
async fn a_client_of_either_revision_is_welcome() {
    let world = World::new().await;
    let key = acme(&world).await;
    for (wanted, given) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let params = json!({
            "protocolVersion": wanted,
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        });
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let reply = post(&world, &key, message, &[]).await.is(200);
        // Nothing is kept that could be taken over.
        assert_eq!(reply.header("mcp-session-id"), "");
        let result = &reply.json()["result"];
        assert_eq!(result["protocolVersion"], given, "{result}");
        assert_eq!(result["serverInfo"]["name"], "caxton");
        assert!(result["capabilities"]["tools"].is_object());
    }
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let message =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
    let headers = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/list"),
    ];
    let listed = post(&world, &key, message, &headers).await.is(200).json();
    assert!(
        listed["result"]["tools"]
            .as_array()
            .is_some_and(|it| !it.is_empty()),
        "{listed}"
    );
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    post(&world, &key, note, &[REVISION]).await.is(202);
    world.get("/mcp").await.is(405);
}

#[tokio::test]
async fn a_key_is_offered_what_it_may_call_and_no_more() {
    let world = World::new().await;
    let key = acme(&world).await;
    let offered = names(&world, &key).await;
    for name in [
        "weather",
        "weather__fails",
        "weather__changes",
        "files__read",
        "ask_echo",
    ] {
        assert!(offered.iter().any(|it| it == name), "{name}: {offered:?}");
    }
    // What the policy denies is not shown.
    let policy = json!({"deny": ["weather.changes", "files"]});
    world
        .as_key(&key, "PUT", "/v1/toolPolicy", policy)
        .await
        .is(200);
    let offered = names(&world, &key).await;
    assert!(
        !offered
            .iter()
            .any(|it| it == "weather__changes" || it.starts_with("files")),
        "{offered:?}"
    );
    let denied = call(&world, &key, "weather__changes", json!({})).await;
    assert_eq!(denied["result"]["isError"], true, "{denied}");
    let text = denied["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("CX-8006 "), "{text}");
    // A key that may look and not call is offered nothing, and calls nothing.
    let (_, viewer) = world
        .key("acme", "admin", &["tools:read", "agents:read"])
        .await;
    assert!(names(&world, &viewer).await.is_empty());
    for name in ["weather", "ask_echo"] {
        let refused = call(&world, &viewer, name, json!({})).await;
        assert_eq!(refused["result"]["isError"], true, "{refused}");
    }
    // Nor is another tenant's key.
    world.tenant("other").await;
    let (_, other) = world.key("other", "admin", &[]).await;
    let offered = names(&world, &other).await;
    assert!(
        !offered
            .iter()
            .any(|it| it.starts_with("weather") || it.starts_with("ask_")),
        "{offered:?}"
    );
    let theirs = call(&world, &other, "weather", json!({})).await;
    let nobodys = call(&world, &other, "whether", json!({})).await;
    assert_eq!(theirs["error"]["code"], -32602, "{theirs}");
    let level = |it: &Value| it.to_string().replace("whether", "weather");
    assert_eq!(level(&theirs), level(&nobodys));
}

#[tokio::test]
async fn functions_and_agents_answer_and_their_errors_can_be_read() {
    let world = World::new().await;
    let key = acme(&world).await;
    let done = call(&world, &key, "weather", json!({"city": "Bern"})).await;
    let result = &done["result"];
    assert_eq!(result["isError"], false, "{done}");
    assert_eq!(result["structuredContent"]["arguments"]["city"], "Bern");
    let painted = call(&world, &key, "weather__paints", json!({})).await;
    let image = &painted["result"]["content"][0];
    assert_eq!(
        (&image["type"], &image["mimeType"]),
        (&json!("image"), &json!("image/png"))
    );
    for (name, arguments, says) in [
        ("weather__fails", json!({}), "out of order"),
        ("weather__trips", json!({}), "CX-7011"),
        ("weather", json!({"town": "Bern"}), "CX-8007"),
        ("ask_nobody", json!({"message": "x"}), "CX-2020"),
        ("ask_echo", json!({"text": "x"}), "CX-8007"),
    ] {
        let failed = call(&world, &key, name, arguments).await;
        assert_eq!(failed["result"]["isError"], true, "{name}: {failed}");
        let text = failed["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(says), "{name}: {text}");
    }
    let asked = call(&world, &key, "ask_echo", json!({"message": "hello"})).await;
    assert_eq!(asked["result"]["content"][0]["text"], "hello", "{asked}");
    let unknown = call(&world, &key, "weather__none", json!({})).await;
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    // Calls by this door stand in the log as any other.
    let listed = world
        .as_key(&key, "GET", "/v1/tools/weather/calls", Value::Null)
        .await
        .json();
    assert!(
        listed["toolCalls"].as_array().unwrap().len() >= 4,
        "{listed}"
    );
}

#[tokio::test]
async fn strangers_and_their_pages_stay_out() {
    let world = World::new().await;
    let key = acme(&world).await;
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    post(&world, "cx_key_1_wrong", message.clone(), &[])
        .await
        .is(401);
    let headers = [("authorization", ""), ACCEPT];
    world
        .call_with("POST", "/mcp", &message.to_string(), &headers)
        .await
        .is(401);
    for (origin, host, status) in [
        ("http://evil.example", "", 403),
        ("http://evil.example", "evil.example", 403),
        ("http://127.0.0.1:1", "127.0.0.1:1", 200),
        ("null", "", 403),
    ] {
        let mut more = vec![REVISION, ("origin", origin)];
        if !host.is_empty() {
            more.push(("host", host));
        }
        post(&world, &key, message.clone(), &more).await.is(status);
    }
    // It stands in the log of requests, which is written a little later.
    let path = "/v1/requests?operation=caxton.mcp%2FSpeak";
    guard(async {
        loop {
            let listed = world.as_key(&key, "GET", path, Value::Null).await.is(200);
            if listed.text.contains("caxton.mcp/Speak") {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}
