//! Bad input at the doors of a whole server: components, manifests, names and JSON that are not what
//! they should be. Each is refused with a problem document that has its code, an echo answers after
//! it, and nothing of it is kept.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bytes::Bytes;
use caxton_testkit::server::{Answer, Body, Example, Said, TestServer};
use http::Method;
use serde_json::{Value, json};

async fn server() -> TestServer {
    let server = TestServer::start().await;
    server.deploy(&Example::load("echo")).await;
    server
}

async fn unharmed(server: &TestServer) {
    let said = server.ask("echo", "still there?").await;
    assert_eq!(said, Said::new("inform", "still there?"));
}

/// Only the echo is there.
async fn nothing_is_kept(server: &TestServer) {
    let agents = server.get("/v1/agents").await.json();
    let names: Vec<_> = agents["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, ["echo"]);
    server.is_idle().await;
}

/// Names no part of a server may take for a path, a string's end or a small thing.
fn odd_names() -> [(&'static str, String); 3] {
    [
        ("a path", "../../etc/passwd".to_owned()),
        ("NUL", "a\0b".to_owned()),
        ("10,000 characters", "a".repeat(10_000)),
    ]
}

fn wat(text: &str) -> Bytes {
    wat::parse_str(text).expect("the test's own WAT").into()
}

#[tokio::test]
async fn what_is_no_agents_component_is_refused() {
    let server = server().await;
    let echo = Example::load("echo").component;
    let import = wat("(component (import \"acme:weather/today\" (instance)))");
    let mut garbled = echo.to_vec();
    for byte in garbled.iter_mut().skip(64).step_by(101) {
        *byte ^= 0x5a;
    }
    for (what, component, status, code, word) in [
        (
            "no wasm",
            Bytes::from_static(b"#!/bin/sh\nexit 1\n"),
            422,
            "CX-2003",
            "",
        ),
        ("nothing", Bytes::new(), 422, "CX-2003", ""),
        ("cut off", echo.slice(..echo.len() / 2), 422, "CX-2003", ""),
        ("garbled", garbled.into(), 422, "CX-20", ""),
        ("a core module", wat("(module)"), 422, "CX-2004", ""),
        (
            "another world",
            wat("(component)"),
            422,
            "CX-2005",
            "caxton:agent/behavior",
        ),
        (
            "an import nobody offers",
            import,
            422,
            "CX-2006",
            "acme:weather/today",
        ),
        ("SIMD", simd(), 422, "CX-2007", "SIMD"),
        (
            "too many functions",
            many_functions(),
            413,
            "CX-2008",
            "functions",
        ),
    ] {
        let bad = Example::load("probe").with_component(component);
        let error = server.try_deploy(&bad).await.unwrap_err();
        assert_eq!(error.status(), Some(status), "{what}: {error}");
        assert!(error.code().unwrap().starts_with(code), "{what}: {error}");
        let detail = &error.problem().unwrap().detail;
        assert!(
            !detail.is_empty() && detail.contains(word),
            "{what}: {detail}"
        );
        unharmed(&server).await;
    }
    nothing_is_kept(&server).await;
}

fn simd() -> Bytes {
    wat("(component (core module (func (drop (v128.const i32x4 0 0 0 0)))))")
}

fn many_functions() -> Bytes {
    wat(&format!(
        "(component (core module {}))",
        "(func)".repeat(60_000)
    ))
}

#[tokio::test]
async fn a_component_of_a_hundred_megabytes_is_refused() {
    let server = server().await;
    let mut component = vec![0_u8; 100 << 20];
    component[..8].copy_from_slice(b"\0asm\x0d\0\x01\0");
    let parts = vec![
        ("manifest", Bytes::from_static(b"name = \"big\"")),
        ("component", component.into()),
    ];
    let answer = server
        .request(Method::POST, "/v1/agents", Body::Parts(parts))
        .await;
    assert_eq!(answer.problem(), (413, "CX-2008".to_owned()));
    unharmed(&server).await;
    nothing_is_kept(&server).await;
}

#[tokio::test]
async fn a_manifest_that_is_none_is_refused_with_its_place() {
    let server = server().await;
    let huge = format!("name = \"a\"\ndescription = \"{}\"", "x".repeat(1 << 20));
    let many = format!(
        "name = \"a\"\ncapabilities = [{}]",
        "{ name = \"c\" },".repeat(100)
    );
    let mut manifests = vec![
        ("empty", String::new(), "CX-2001", "`manifest` is missing"),
        (
            "no TOML",
            "{\"name\": \"a\"}".to_owned(),
            "CX-2001",
            "line 1",
        ),
        ("huge", huge, "CX-2001", "bytes"),
        (
            "an unknown key",
            "name = \"a\"\nverison = \"1.0.0\"".to_owned(),
            "CX-2001",
            "`version`",
        ),
        (
            "an unknown limit",
            "name = \"a\"\n[limits]\nmemory_byte_max = 1".to_owned(),
            "CX-2001",
            "`memory_bytes_max`",
        ),
        (
            "a limit out of bounds",
            "name = \"a\"\n[limits]\nmemory_bytes_max = 0".to_owned(),
            "CX-2001",
            "out of bounds",
        ),
        (
            "a key twice",
            "name = \"a\"\nname = \"b\"".to_owned(),
            "CX-2001",
            "line 2",
        ),
        ("too many capabilities", many, "CX-2001", "capabilities"),
        (
            "a reserved name",
            "name = \"ams\"".to_owned(),
            "CX-2022",
            "ams",
        ),
    ];
    for (what, name) in odd_names() {
        let name = serde_json::to_string(&name).unwrap();
        manifests.push((what, format!("name = {name}"), "CX-2001", "agent name"));
        let version = format!("name = \"a\"\nversion = {name}");
        manifests.push((what, version, "CX-2001", "version"));
        let capability = format!("name = \"a\"\ncapabilities = [{{ name = {name} }}]");
        // A capability is a token; a path is one, and means nothing to the server.
        if what != "a path" {
            manifests.push((what, capability, "CX-2001", "capability"));
        }
    }
    manifests.push((
        "a component elsewhere",
        "name = \"a\"\ncomponent = \"../a.wasm\"".to_owned(),
        "CX-2001",
        "file name",
    ));
    let component = base64(&Example::load("echo").component);
    for (what, manifest, code, word) in manifests {
        let body = json!({ "manifest": manifest, "component": component }).to_string();
        let answer = server.post("/v1/agents", body).await;
        let (status, got) = answer.problem();
        assert!(status == 400 || status == 409, "{what}: {answer:?}");
        assert_eq!(got, code, "{what}: {answer:?}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(word), "{what}: {detail}");
        assert!(
            detail.len() < 1024,
            "{what}: an answer of {} bytes",
            detail.len()
        );
    }
    unharmed(&server).await;
    nothing_is_kept(&server).await;
}

fn base64(bytes: &[u8]) -> String {
    // proto3's JSON writes bytes in base64: the contract's own types do it.
    let request = caxton_api::v1::CreateAgentRequest {
        component: Some(bytes.to_vec().into()),
        ..caxton_api::v1::CreateAgentRequest::default()
    };
    let value = serde_json::to_value(request).unwrap();
    value["component"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn odd_names_in_every_place_of_every_path_are_refused() {
    let server = server().await;
    let api: Value = serde_json::from_str(caxton_api::OPENAPI).unwrap();
    let mut places = 0;
    for (template, operations) in api["paths"].as_object().unwrap() {
        if !template.contains('{') {
            continue;
        }
        for method in ["get", "post", "put", "delete"] {
            if operations[method].is_null() {
                continue;
            }
            let odd = [
                "..%2F..%2Fetc%2Fpasswd",
                "a%00b",
                "..",
                "%2e%2e",
                "%ff%fe",
                "%F0%9F%99%82",
            ];
            let long = "a".repeat(10_000);
            for name in odd.into_iter().chain([long.as_str()]) {
                places += 1;
                let path = fill(template, name);
                let body = match method {
                    "get" | "delete" => Body::None,
                    _ => Body::Json(Bytes::from_static(b"{\"manifest\":\"name = \\\"x\\\"\"}")),
                };
                let verb = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let answer = server.request(verb, &path, body).await;
                let what = format!("{method} {template} with {:.40}", name);
                let client_error = answer.status.is_client_error();
                assert!(client_error, "{what}: {answer:?}");
                answer.refusal();
            }
        }
    }
    assert!(places > 50, "only {places} places were found");
    unharmed(&server).await;
    nothing_is_kept(&server).await;
}

/// The template with every variable replaced.
fn fill(template: &str, name: &str) -> String {
    let mut parts = template.split(['{', '}']);
    let mut path = parts.next().unwrap_or_default().to_owned();
    while let (Some(_), Some(rest)) = (parts.next(), parts.next()) {
        path.push_str(name);
        path.push_str(rest);
    }
    path
}

#[tokio::test]
async fn odd_names_in_every_place_of_a_query_are_refused_or_find_nothing() {
    let server = server().await;
    let api: Value = serde_json::from_str(caxton_api::OPENAPI).unwrap();
    let mut places = 0;
    for (path, operations) in api["paths"].as_object().unwrap() {
        let parameters = operations["get"]["parameters"].as_array();
        // A stream does not end by itself; its parameters are those of the list beside it.
        if path.ends_with("/stream") || path.contains('{') {
            continue;
        }
        for parameter in parameters.into_iter().flatten() {
            if parameter["in"] != "query" {
                continue;
            }
            let name = parameter["name"].as_str().unwrap();
            for odd in [
                "..%2F..%2Fetc%2Fpasswd",
                "a%00b",
                "%ff",
                &"a".repeat(10_000),
            ] {
                places += 1;
                let answer = server.get(&format!("{path}?{name}={odd}")).await;
                if answer.status != 200 {
                    assert_eq!(
                        answer.refusal().0,
                        400,
                        "{path}?{name}={odd:.40}: {answer:?}"
                    );
                } else {
                    let found = answer.json();
                    let lists = found.as_object().unwrap().values();
                    let rows: usize = lists.filter_map(Value::as_array).map(Vec::len).sum();
                    assert_eq!(rows, 0, "{path}?{name}={odd:.40}: {found}");
                }
            }
        }
    }
    assert!(places > 20, "only {places} places were found");
    unharmed(&server).await;
}

#[tokio::test]
async fn odd_names_in_every_place_of_a_message_are_refused() {
    let server = server().await;
    // Places of a message, and whether a path may stand there: in a name never, in a token it is
    // text like any other.
    let names = [
        "performative",
        "receiver/0/name",
        "sender/name",
        "replyTo/0/name",
    ];
    let tokens = [
        "language",
        "encoding",
        "ontology",
        "protocol",
        "conversationId",
        "replyWith",
        "inReplyTo",
        "receiver/0/addresses/0",
    ];
    for (what, odd) in odd_names() {
        for place in names.into_iter().chain(tokens) {
            let answer = server
                .post("/v1/messages", message(place, &odd).to_string())
                .await;
            if what == "a path" && tokens.contains(&place) {
                assert_eq!(answer.status, 202, "{what} as {place}: {answer:?}");
                continue;
            }
            let (status, code) = answer.problem();
            assert_eq!(status, 400, "{what} as {place}: {answer:?}");
            assert!(code.starts_with("CX-10"), "{what} as {place}: {answer:?}");
            assert!(
                answer.body.len() < 4096,
                "{what} as {place}: {} bytes",
                answer.body.len()
            );
        }
        // The name of a user parameter; a value may be any text up to 8,192 bytes.
        let body = json!({
            "performative": "request", "receiver": [{"name": "echo"}],
            "userParameters": { format!("X-{odd}"): "1" },
        });
        let answer = server.post("/v1/messages", body.to_string()).await;
        assert_eq!(
            answer.problem(),
            (400, "CX-1010".to_owned()),
            "{what}: {answer:?}"
        );
        // A content is bytes, whatever they are.
        assert_eq!(server.ask("echo", &odd).await, Said::new("inform", &odd));
    }
    unharmed(&server).await;
    server.is_idle().await;
}

/// A good message with one place changed; places are `/`-separated.
fn message(place: &str, value: &str) -> Value {
    let mut message = json!({
        "performative": "inform",
        "receiver": [{ "name": "echo", "addresses": ["http://localhost/"] }],
        "sender": { "name": "admin@default" },
        "replyTo": [{ "name": "admin@default" }],
        "content": "x",
    });
    let pointer = format!("/{place}");
    match message.pointer_mut(&pointer) {
        Some(there) => *there = value.into(),
        None => message[place] = value.into(),
    }
    message
}

#[tokio::test]
async fn json_that_is_none_is_refused_with_its_place() {
    let server = server().await;
    let deep = format!(
        "{{\"performative\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let large = format!(
        "{{\"performative\":\"inform\",\"receiver\":[{{\"name\":\"echo\"}}],\"content\":\"{}\"}}",
        "x".repeat(9 << 20)
    );
    for (what, body, status, code) in [
        ("nothing", String::new(), 400, "CX-1013"),
        (
            "half",
            "{\"performative\":\"inform\",".to_owned(),
            400,
            "CX-1013",
        ),
        ("two", "{}{}".to_owned(), 400, "CX-1013"),
        ("a list", "[]".to_owned(), 400, "CX-1013"),
        ("too deep", deep, 400, "CX-1013"),
        ("a key twice", twice(), 400, "CX-1013"),
        ("half a surrogate pair", surrogate(), 400, "CX-1013"),
        (
            "an unknown field",
            "{\"performatve\":\"inform\"}".to_owned(),
            400,
            "CX-1014",
        ),
        ("too large", large, 413, "CX-1021"),
    ] {
        let answer = server.post("/v1/messages", body).await;
        assert_eq!(
            answer.problem(),
            (status, code.to_owned()),
            "{what}: {answer:?}"
        );
    }
    let latin1 = Bytes::from_static(b"{\"performative\":\"inform\",\"content\":\"\xe9\"}");
    let answer: Answer = server.post("/v1/messages", latin1).await;
    assert_eq!(answer.problem(), (400, "CX-1013".to_owned()), "no UTF-8");
    unharmed(&server).await;
    server.is_idle().await;
}

fn twice() -> String {
    r#"{"performative":"inform","receiver":[{"name":"echo"}],"content":"a","cont\u0065nt":"b"}"#
        .to_owned()
}

fn surrogate() -> String {
    r#"{"performative":"inform","receiver":[{"name":"echo"}],"content":"\ud83d"}"#.to_owned()
}

#[tokio::test]
async fn a_receiver_that_does_not_exist_is_not_found() {
    let server = server().await;
    for receiver in ["nobody", "nobody@default", "echo@elsewhere"] {
        let error = server.tell(receiver, "x").await.unwrap_err();
        assert_eq!(
            (error.status(), error.code()),
            (Some(404), Some("CX-3001")),
            "{receiver}"
        );
    }
    // All or none: one that is missing keeps the message from the other.
    let body = json!({
        "performative": "request", "receiver": [{"name": "echo"}, {"name": "nobody"}], "content": "x",
    });
    let answer = server.post("/v1/messages", body.to_string()).await;
    assert_eq!(answer.problem(), (404, "CX-3001".to_owned()));
    assert_eq!(
        server.agent("echo").await.stats.unwrap().messages_handled,
        0
    );
    unharmed(&server).await;
}
