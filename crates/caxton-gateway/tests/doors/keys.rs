//! The key, the tenant, and the idempotency key.

use caxton_core::{Code, TenantId};
use caxton_engine::TenantScope;
use caxton_engine::port::Store as _;
use caxton_engine::port::memory::{MemoryDisk, MemoryStore};
use caxton_engine::port::store::{RecordKind, RecordRange};
use serde_json::json;

use crate::support::{KEY, World, agent, request};

/// Method and path of every REST operation, with something in place of its variables.
fn operations() -> Vec<(String, String)> {
    let document: serde_json::Value = serde_json::from_str(caxton_api::OPENAPI).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path.replace(['{', '}'], "");
            all.push((method.to_uppercase(), path));
        }
    }
    assert!(all.len() > 20, "{all:?}");
    all
}

/// Whether clients made for another server ask there.
fn is_compatible(path: &str) -> bool {
    let aliases = ["/v1/chat/completions", "/v1/responses", "/v1/models"];
    !path.starts_with("/v1/") || aliases.iter().any(|it| path.starts_with(it))
}

#[tokio::test]
async fn every_operation_wants_the_key() {
    let world = World::new().await;
    let with_key = |path: &str| path.contains("/v1/");
    for (method, path) in operations().iter().filter(|(_, path)| with_key(path)) {
        for headers in [
            &[("authorization", "")][..],
            &[("authorization", "Bearer cx_adm_1_wrong")],
            &[("authorization", "Bearer")],
            &[("authorization", "Basic eDp5")],
            &[("authorization", ""), ("x-api-key", "cx_adm_1_secre")],
        ] {
            let answer = world.call_with(method, path, "", headers).await;
            assert_eq!(
                answer.header("www-authenticate"),
                "Bearer",
                "{method} {path}"
            );
            // Clients made for others are told in their providers' words.
            if answer.header("content-type") == "application/json" {
                let told = answer.is(401).json();
                assert_eq!(told["error"]["code"], Code::Unauthenticated.as_str());
                assert!(is_compatible(path), "{path}");
                continue;
            }
            assert!(!is_compatible(path), "{path}");
            answer.problem(401, Code::Unauthenticated);
        }
    }
    // Before the body: a stranger's is not read, however long it says it is.
    let headers = [("authorization", ""), ("content-type", "application/json")];
    let large = "x".repeat(10 << 20);
    let answer = world
        .call_with("POST", "/v1/agents", &large, &headers)
        .await;
    answer.problem(401, Code::Unauthenticated);
    let headers = [("authorization", ""), ("x-api-key", KEY)];
    world
        .call_with("GET", "/v1/agents", "", &headers)
        .await
        .is(200);
}

#[tokio::test]
async fn a_tenant_that_does_not_exist_is_404() {
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    let check = async |tenant: &str| {
        let headers = [("caxton-tenant", tenant)];
        world.call_with("GET", "/v1/agents/a", "", &headers).await
    };
    assert_eq!(check("default").await.is(200).json()["name"], "a");
    check("other").await.problem(404, Code::TenantNotFound);
    check("../x").await.problem(400, Code::TenantIdMalformed);
}

#[tokio::test]
async fn a_creation_with_a_key_happens_once() {
    let world = World::new().await;
    world.deploy("a", "deaf", "").await;
    let send = async |key: &str, content: &str| {
        let headers = [("idempotency-key", key)];
        let body = request("a", content).to_string();
        world
            .call_with("POST", "/v1/messages", &body, &headers)
            .await
    };
    let first = send("k", "x").await.is(202).json();
    assert_eq!(send("k", "x").await.is(202).json(), first);
    assert_ne!(send("l", "x").await.is(202).json(), first);
    send("k", "y").await.problem(422, Code::IdempotencyMismatch);
    send(&"k".repeat(300), "x")
        .await
        .problem(400, Code::ParameterMalformed);
    let all = world.get("/v1/messages").await.json();
    assert_eq!(all["messages"].as_array().unwrap().len(), 2);

    let headers = [("idempotency-key", "deploy")];
    let body = agent("b", "echo", "").to_string();
    let first = world
        .call_with("POST", "/v1/agents", &body, &headers)
        .await
        .is(201);
    let again = world
        .call_with("POST", "/v1/agents", &body, &headers)
        .await
        .is(201);
    assert_eq!(first.json(), again.json());
    // The key of one operation is not another's.
    let headers = [("idempotency-key", "k")];
    let other = world.call_with("POST", "/v1/agents", &body, &headers).await;
    other.problem(422, Code::IdempotencyMismatch);
}

#[tokio::test]
async fn a_failure_frees_the_idempotency_key() {
    let world = World::new().await;
    let headers = [("idempotency-key", "k")];
    let body = request("a", "x").to_string();
    let refused = world
        .call_with("POST", "/v1/messages", &body, &headers)
        .await;
    refused.problem(404, Code::ReceiverUnknown);
    world.deploy("a", "deaf", "").await;
    let accepted = world
        .call_with("POST", "/v1/messages", &body, &headers)
        .await;
    accepted.is(202);
}

#[tokio::test]
async fn a_creation_with_a_key_happens_once_also_over_a_restart() {
    let world = World::new().await;
    world.deploy("slow", "stuck", "").await;
    let begun = request("slow", "begun").to_string();
    let send = async |world: &World, key: &str, content: &str| {
        let headers = [("idempotency-key", key)];
        let body = request("slow", content).to_string();
        let path = match content {
            "begun" => "/v1/messages?wait=20s",
            _ => "/v1/messages",
        };
        world.call_with("POST", path, &body, &headers).await
    };
    let first = send(&world, "done", "x").await.is(202).json();
    let headers = [("idempotency-key", "begun")];
    let midway = world.call_with("POST", "/v1/messages?wait=20s", &begun, &headers);
    let dies = async {
        let both = |it: &serde_json::Value| it["messages"].as_array().unwrap().len() == 2;
        world.until("/v1/messages", both).await;
        let world = world.again().await;
        assert_eq!(send(&world, "done", "x").await.is(202).json(), first);
        let other = send(&world, "done", "y").await;
        other.problem(422, Code::IdempotencyMismatch);
        // Whether it was done cannot be known: it is neither done again nor waited for.
        for _ in 0..2 {
            let lost = send(&world, "begun", "begun").await;
            lost.problem(409, Code::IdempotencyLost);
        }
        let other = send(&world, "begun", "y").await;
        other.problem(422, Code::IdempotencyMismatch);
        let all = world.get("/v1/messages").await.json();
        assert_eq!(all["messages"].as_array().unwrap().len(), 2);
    };
    tokio::select! {
        _ = midway => panic!("nobody answers"),
        () = dies => {}
    }
}

#[tokio::test]
async fn a_key_s_secret_is_given_again_to_the_same_key_alone_and_stored_nowhere() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (id, holder) = world.key("acme", "admin", &[]).await;
    let create = async |world: &World, key: &str| {
        let body = json!({"name": "n", "role": "viewer"}).to_string();
        let headers = [
            ("authorization", ""),
            ("x-api-key", key),
            ("idempotency-key", "k"),
        ];
        world.call_with("POST", "/v1/keys", &body, &headers).await
    };
    let made = create(&world, &holder).await.is(201).json();
    let secret = made["secret"].as_str().unwrap();
    let random = secret.rsplit('_').next().unwrap();
    let found = Kept::read(&world.disk, "acme").await;
    assert!(found.texts().len() > 2, "{found:?}");
    assert!(
        !found.texts().iter().any(|it| it.contains(random)),
        "{found:?}"
    );

    let world = world.again().await;
    assert_eq!(create(&world, &holder).await.is(201).json(), made);
    // Another secret of the same key is the same principal; it opens what is its own alone.
    let path = format!("/v1/keys/{id}/rotate");
    let headers = [("caxton-tenant", "acme")];
    let rotated = world.call_with("POST", &path, "{}", &headers).await;
    let rotated = rotated.is(200).json()["secret"]
        .as_str()
        .unwrap()
        .to_owned();
    let lost = create(&world, &rotated).await;
    lost.problem(409, Code::IdempotencyLost);
    assert_eq!(create(&world, &holder).await.is(201).json(), made);
    let listed = world.as_key(&holder, "GET", "/v1/keys", json!(null)).await;
    assert_eq!(listed.json()["keys"].as_array().unwrap().len(), 2);
}

/// What the records of a tenant say, all kinds of idempotency.
#[derive(Debug)]
struct Kept(Vec<bytes::Bytes>);

impl Kept {
    async fn read(disk: &MemoryDisk, tenant: &str) -> Self {
        let store = MemoryStore::open(disk.clone());
        let scope = TenantScope::system(TenantId::parse(tenant).unwrap(), "test");
        let mut all = Vec::new();
        for kind in ["idempotency", "idempotency-age", "key", "keys"] {
            let kind = RecordKind(kind);
            let rows = store
                .records(&scope, kind, RecordRange::default(), 100)
                .await
                .unwrap();
            all.extend(rows.into_iter().map(|(_, body)| body));
        }
        Self(all)
    }

    fn texts(&self) -> Vec<String> {
        let text = |it: &bytes::Bytes| String::from_utf8_lossy(it).into_owned();
        self.0.iter().map(text).collect()
    }
}

#[tokio::test]
async fn a_repetition_while_the_first_is_in_progress_is_409() {
    let world = World::new().await;
    world.deploy("slow", "stuck", "").await;
    let headers = [("idempotency-key", "k")];
    let body = request("slow", "x").to_string();
    let path = "/v1/messages?wait=20s";
    let first = world.call_with("POST", path, &body, &headers);
    let second = async {
        // The first is on its way once its message can be seen.
        let seen = |it: &serde_json::Value| it["messages"] != json!([]);
        world.until("/v1/messages", seen).await;
        let busy = world.call_with("POST", path, &body, &headers).await;
        assert_eq!(busy.header("retry-after"), "1");
        busy.problem(409, Code::IdempotencyBusy);
        world.gate.add_permits(1);
    };
    let (first, ()) = tokio::join!(first, second);
    let first = first.is(200).json();
    let again = world.call_with("POST", path, &body, &headers).await;
    assert_eq!(again.is(200).json(), first, "the reply too");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_nothing_half_done() {
    let world = World::new().await;
    world.deploy("slow", "stuck", "").await;
    // Its time is over while it waits; the message was accepted all the same.
    let headers = [("idempotency-key", "k"), ("x-request-timeout", "50ms")];
    let body = request("slow", "x").to_string();
    let path = "/v1/messages?wait=20s";
    let late = world.call_with("POST", path, &body, &headers).await;
    late.problem(504, Code::DeadlineExceeded);
    let busy = world.call_with("POST", path, &body, &headers).await;
    busy.problem(409, Code::IdempotencyBusy);
    world.gate.add_permits(1);
    let headers = [("idempotency-key", "k")];
    loop {
        let answer = world.call_with("POST", path, &body, &headers).await;
        if answer.status != 409 {
            assert_eq!(answer.is(200).json()["reply"]["content"], "x");
            break;
        }
    }
    let all = world.get("/v1/messages?agent=slow").await.json();
    assert_eq!(
        all["messages"].as_array().unwrap().len(),
        2,
        "one request, one reply"
    );
}
