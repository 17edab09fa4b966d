//! The key, the tenant, and the idempotency key.

use caxton_core::Code;
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

#[tokio::test]
async fn every_operation_wants_the_key() {
    let world = World::new().await;
    let with_key = |path: &str| path.starts_with("/v1/");
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
