//! The protocol's own suite against `/mcp`.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{World, guard};

/// What the suite asks of this server. What it asks besides is of features that the server does not
/// offer: prompts, resources, completion, logging, sampling and elicitation; audio and embedded
/// resources in results; streams taken up again, as nothing is kept between two requests.
const SCENARIOS: [&str; 8] = [
    "server-initialize",
    "ping",
    "tools-list",
    "tools-call-simple-text",
    "tools-call-image",
    "tools-call-error",
    "json-schema-2020-12",
    "dns-rebinding-protection",
];

fn tool(name: &str, input: Value) -> Value {
    let function = json!({
        "name": name,
        "description": "A tool of the suite.",
        "inputSchema": input,
        "method": "GET",
        "effect": "reads",
    });
    json!({
        "name": name,
        "http": {"baseUrl": "https://api.example.com", "functions": [function]},
    })
}

/// Passes connections on, with a key in the head of each request: the suite knows of none.
async fn with_key(listener: TcpListener, to: String, key: String) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let (to, key) = (to.clone(), key.clone());
        tokio::spawn(async move {
            let mut head = Vec::new();
            let end = loop {
                if client.read_buf(&mut head).await.unwrap_or(0) == 0 {
                    return;
                }
                if let Some(end) = head.windows(4).position(|it| it == b"\r\n\r\n") {
                    break end;
                }
            };
            // One request a connection, so that each has its key.
            let text = String::from_utf8(head[..end].to_vec()).unwrap();
            let lines = text
                .split("\r\n")
                .filter(|it| !it.to_lowercase().starts_with("connection:"));
            let mut sent = lines.collect::<Vec<_>>().join("\r\n");
            sent.push_str(&format!("\r\nx-api-key: {key}\r\nconnection: close"));
            let mut server = TcpStream::connect(to).await.unwrap();
            server.write_all(sent.as_bytes()).await.unwrap();
            server.write_all(&head[end..]).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs mcp-conformance"]
async fn the_protocols_own_suite_finds_nothing() {
    let folder = PathBuf::from(std::env::var_os("CAXTON_TEST_MCP_CONFORMANCE").unwrap());
    let node = std::env::var_os("CAXTON_TEST_NODE_22").unwrap();
    let world = World::new().await;
    world.tenant("acme").await;
    let (_, key) = world.key("acme", "admin", &[]).await;
    let nothing = json!({"type": "object"});
    let newest = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {"type": "object", "properties": {
            "street": {"type": "string"}, "city": {"type": "string"},
        }}},
        "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
        "additionalProperties": false,
    });
    for (name, input) in [
        ("test_simple_text", &nothing),
        ("test_image_content", &nothing),
        ("test_error_handling", &nothing),
        ("json_schema_2020_12_tool", &newest),
    ] {
        let made = world.as_key(&key, "POST", "/v1/tools", tool(name, input.clone()));
        made.await.is(201);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let to = world.base.strip_prefix("http://").unwrap().to_owned();
    let proxy = tokio::spawn(with_key(listener, to, key));
    let suite = folder.join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    for scenario in SCENARIOS {
        let mut run = tokio::process::Command::new(&node);
        run.arg(&suite)
            .args(["server", "--url", &url, "--scenario", scenario, "--verbose"]);
        let done = guard(run.stdin(Stdio::null()).kill_on_drop(true).output())
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        let why = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{scenario}: {said}{why}");
        assert!(
            said.contains("SUCCESS") && !said.contains("FAILURE"),
            "{scenario}: {said}{why}"
        );
    }
    proxy.abort();
}
