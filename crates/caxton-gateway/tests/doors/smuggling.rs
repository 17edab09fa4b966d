//! HTTP/1.1 as attackers write it: two lengths, broken heads, packed bodies, cursors they made up.

use caxton_core::Code;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{KEY, World, guard, request};

/// Sends bytes and reads to the end; the status codes of the answers.
async fn statuses(world: &World, bytes: &[u8]) -> (Vec<u16>, String) {
    let address = world.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut told = Vec::new();
    // A reset is an end as well.
    let _ = guard(stream.read_to_end(&mut told)).await;
    let told = String::from_utf8_lossy(&told).into_owned();
    let answers = told.split("HTTP/1.1 ").skip(1);
    let codes = answers.map(|it| it[..3].parse().unwrap()).collect();
    (codes, told)
}

/// A request to remove the agent `victim`, which another request must not carry in.
fn smuggled() -> String {
    format!("DELETE /v1/agents/victim HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\n\r\n")
}

#[tokio::test]
async fn a_request_with_two_lengths_carries_no_second_request() {
    let world = World::new().await;
    world.deploy("victim", "deaf", "").await;
    let inner = smuggled();
    let length = inner.len();
    let head = format!("POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\n");
    let cases = [
        // Both: by the length the inner request is body, by the chunks it comes after.
        format!(
            "{head}content-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
            length + 5
        ),
        format!(
            "{head}transfer-encoding: chunked\r\ncontent-length: {}\r\n\r\n0\r\n\r\n{inner}",
            length + 5
        ),
        // Codings that only some read as chunked.
        format!("{head}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"),
        format!("{head}transfer-encoding: xchunked\r\ncontent-length: 0\r\n\r\n{inner}"),
        format!("{head}transfer-encoding : chunked\r\ncontent-length: 0\r\n\r\n{inner}"),
        format!("{head}transfer-encoding: \x0bchunked\r\ncontent-length: 0\r\n\r\n{inner}"),
        // Two lengths, and lengths that are none.
        format!("{head}content-length: 0\r\ncontent-length: {length}\r\n\r\n{inner}"),
        format!("{head}content-length: 0, {length}\r\n\r\n{inner}"),
        format!("{head}content-length: +0\r\n\r\n{inner}"),
        format!("{head}content-length: -1\r\n\r\n{inner}"),
        format!("{head}content-length: 0x0\r\n\r\n{inner}"),
        format!("{head}content-length: 99999999999999999999\r\n\r\n{inner}"),
        // Chunks whose size overflows or is followed by what is none.
        format!("{head}transfer-encoding: chunked\r\n\r\n10000000000000000\r\n{inner}"),
        format!("{head}transfer-encoding: chunked\r\n\r\n0\n\r\n{inner}"),
    ];
    for case in cases {
        let (codes, told) = statuses(&world, case.as_bytes()).await;
        assert!(codes.len() <= 1, "{case}: {told}");
        assert!(
            codes.iter().all(|it| (400..500).contains(it)),
            "{case}: {told}"
        );
        world.get("/v1/agents/victim").await.is(200);
    }
    // The same inner request is one where it is meant: the net above can catch something.
    let (codes, _) = statuses(&world, inner.as_bytes()).await;
    assert_eq!(codes, [204]);
}

#[tokio::test]
async fn heads_that_break_the_rules_are_refused() {
    let world = World::new().await;
    let refused = async |head: &str| {
        let (codes, told) = statuses(&world, head.as_bytes()).await;
        assert!(
            codes.len() <= 1 && codes.iter().all(|it| (400..500).contains(it)),
            "{head:?}: {told}"
        );
        assert!(!told.contains("evil: 1"), "{told}");
    };
    refused("GET /livez HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n").await;
    refused("GET /livez HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n").await;
    refused("GET /livez HTTP/1.1\r\nhost: a\r\nx: a\r\n folded\r\n\r\n").await;
    refused("GET /livez HTTP/1.1\r\nhost: a\r\nx y: a\r\n\r\n").await;
    refused("GET /li\rvez HTTP/1.1\r\nhost: a\r\n\r\n").await;
    refused("GET /livez HTTP/9.9\r\nhost: a\r\n\r\n").await;
    refused("GET /livez HTTP/1.1\r\n\r\n").await;
    refused("GET /livez HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n").await;
    refused("GET http://[ HTTP/1.1\r\nhost: a\r\n\r\n").await;
    refused(&format!(
        "GET /livez HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "a".repeat(70_000)
    ))
    .await;
    refused(&format!(
        "GET /livez HTTP/1.1\r\nhost: a\r\n{}\r\n",
        "x: a\r\n".repeat(500)
    ))
    .await;
    refused(&format!(
        "GET /{} HTTP/1.1\r\nhost: a\r\n\r\n",
        "a".repeat(70_000)
    ))
    .await;
    // Line ends that were escaped come back escaped, never as line ends of an answer's head.
    for path in [
        "/v1/agents/a%0d%0aevil:%201",
        "/v1/agents?state=a%0d%0aevil:%201",
        "/%0d%0aevil:%201",
    ] {
        let answer = world.get(path).await;
        assert!(answer.status.is_client_error(), "{path}: {answer:?}");
        assert!(!answer.headers.contains_key("evil"), "{path}");
    }
    world.get("/livez").await.is(200);
}

#[tokio::test]
async fn packed_bodies_are_not_unpacked() {
    let world = World::new().await;
    world.deploy("a", "deaf", "").await;
    let body = request("a", "x").to_string();
    for coding in ["gzip", "br", "deflate", "gzip, gzip", "zstd"] {
        let headers = [("content-encoding", coding)];
        for path in ["/v1/messages", "/v1/agents", "/v1/chat"] {
            let answer = world.call_with("POST", path, &body, &headers).await;
            let problem = answer.problem(415, Code::ParameterMalformed);
            assert!(problem["detail"].as_str().unwrap().contains("packed"));
        }
    }
    let identity = [("content-encoding", "identity")];
    world
        .call_with("POST", "/v1/messages", &body, &identity)
        .await
        .is(202);
}

#[tokio::test]
async fn cursors_that_nobody_gave_are_refused() {
    let world = crate::chat::world().await;
    world.deploy("a", "deaf", "").await;
    let session = json!({"agent": "helper", "id": "s"});
    world.post("/v1/sessions", session).await.is(201);
    let document: Value = serde_json::from_str(caxton_api::OPENAPI).unwrap();
    let mut lists = 0;
    for (path, verbs) in document["paths"].as_object().unwrap() {
        let parameters = verbs["get"]["parameters"].as_array();
        let pages = parameters
            .into_iter()
            .flatten()
            .any(|it| it["name"] == "pageToken");
        if !pages {
            continue;
        }
        lists += 1;
        let path = path.replace("{agent}", "a").replace("{session}", "s");
        let path = path.replace("{tool}", "files");
        assert!(!path.contains('{'), "{path}: give the test an id for it");
        for token in [
            "x",
            "%00",
            "..%2F..",
            "AAAA",
            "%F0%9F%92%A9",
            "-1",
            "18446744073709551616",
        ] {
            let answer = world.get(&format!("{path}?pageToken={token}")).await;
            // A cursor that is a name is one for every name: what comes after it.
            let named = token == "x" || token == "AAAA";
            let good = answer.status == 400 || named && answer.status == 200;
            assert!(good, "{path}?pageToken={token}: {answer:?}");
        }
        let long = "A".repeat(5000);
        let answer = world.get(&format!("{path}?pageToken={long}")).await;
        assert!(answer.status.is_client_error(), "{path}");
    }
    assert!(lists >= 5, "{lists}");
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_given_up() {
    let short = std::time::Duration::from_millis(50);
    let world = World::with(|options| options.body_timeout = short).await;
    let address = world.base.strip_prefix("http://").unwrap();
    for length in ["content-length: 100", "transfer-encoding: chunked"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\n\
             content-type: application/json\r\n{length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // Nothing of the body follows, and the connection is kept open.
        let mut told = Vec::new();
        let _ = guard(stream.read_to_end(&mut told)).await;
        let told = String::from_utf8_lossy(&told);
        assert!(told.starts_with("HTTP/1.1 400 "), "{length}: {told}");
    }
    world.get("/livez").await.is(200);
}
