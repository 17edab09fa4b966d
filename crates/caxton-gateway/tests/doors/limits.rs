//! Rates and quotas at the doors: what is refused, what is told, and that changes count at once.

use caxton_core::Code;
use serde_json::{Value, json};

use crate::support::{World, request};

const SEND: &str = "caxton.v1.CaxtonManagement/SendMessage";

async fn put(world: &World, path: &str, body: Value) -> Value {
    world
        .call("PUT", path, &body.to_string())
        .await
        .is(200)
        .json()
}

#[tokio::test]
async fn a_tenants_rate_is_its_own() {
    let world = World::new().await;
    world.tenant("acme").await;
    world.tenant("other").await;
    let (_, acme) = world.key("acme", "viewer", &[]).await;
    let (_, second) = world.key("acme", "viewer", &[]).await;
    let (_, other) = world.key("other", "viewer", &[]).await;
    let rate = json!({"tenant": {"count": "2", "seconds": "3600"}});
    let set = put(&world, "/v1/tenants/acme/limits", rate).await;
    assert_eq!(set["tenant"]["burst"], "2");
    let list = async |key: &str| world.as_key(key, "GET", "/v1/agents", Value::Null).await;
    let first = list(&acme).await.is(200);
    assert_eq!(first.header("ratelimit-policy"), "\"tenant\";q=2;w=3600");
    assert_eq!(first.header("ratelimit"), "\"tenant\";r=1;t=1800");
    assert_eq!(first.header("x-ratelimit-remaining"), "1");
    assert_eq!(
        list(&second).await.is(200).header("x-ratelimit-remaining"),
        "0"
    );
    let refused = list(&acme).await;
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=1800).contains(&wait), "{wait}");
    assert_eq!(refused.header("ratelimit-policy"), "\"tenant\";q=2;w=3600");
    let left = format!("\"tenant\";r=0;t={wait}");
    assert_eq!(refused.header("ratelimit"), left);
    for (header, value) in [
        ("limit", "2"),
        ("remaining", "0"),
        ("reset", &wait.to_string()),
    ] {
        let header = format!("x-ratelimit-{header}");
        assert_eq!(refused.header(&header), value, "{header}");
    }
    refused.problem(429, Code::RateLimited);
    let free = list(&other).await.is(200);
    assert_eq!(free.header("ratelimit"), "", "no limit, nothing to tell");
    // A change counts at once.
    put(&world, "/v1/tenants/acme/limits", json!({})).await;
    list(&acme).await.is(200);
}

#[tokio::test]
async fn keys_and_operations_have_rates() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (_, one) = world.key("acme", "developer", &[]).await;
    let (_, two) = world.key("acme", "developer", &[]).await;
    let rate = |count: u64| json!({"count": count.to_string(), "seconds": "3600"});
    put(
        &world,
        "/v1/limits",
        json!({"key": rate(3), "operations": {SEND: rate(1)}}),
    )
    .await;
    let send = async |key: &str| {
        world
            .as_key(key, "POST", "/v1/messages", request("nobody", "x"))
            .await
    };
    send(&one).await.problem(404, Code::ReceiverUnknown);
    send(&two).await.problem(429, Code::RateLimited);
    // What the operation refused was not taken of the key.
    for _ in 0..3 {
        world
            .as_key(&two, "GET", "/v1/agents", Value::Null)
            .await
            .is(200);
    }
    let refused = world.as_key(&two, "GET", "/v1/agents", Value::Null).await;
    refused.problem(429, Code::RateLimited);
    // The same over gRPC.
    let mut client = world.grpc().await;
    let mut asked = tonic::Request::new(caxton_api::v1::ListAgentsRequest::default());
    asked
        .metadata_mut()
        .insert("x-api-key", two.parse().unwrap());
    let status = client.list_agents(asked).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
    let told = |status: &tonic::Status, name: &str| {
        let value = status.metadata().get(name).and_then(|it| it.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    assert_eq!(told(&status, "ratelimit-policy"), "\"key\";q=3;w=3600");
    assert_eq!(told(&status, "x-ratelimit-remaining"), "0");
    assert_ne!(told(&status, "x-ratelimit-reset"), "");
    // Of an answer that is given it hears nothing while there is plenty, and something once there is not.
    put(&world, "/v1/limits", json!({"key": rate(5)})).await;
    let (_, third) = world.key("acme", "developer", &[]).await;
    let mut left = Vec::new();
    for _ in 0..5 {
        let mut asked = tonic::Request::new(caxton_api::v1::ListAgentsRequest::default());
        asked
            .metadata_mut()
            .insert("x-api-key", third.parse().unwrap());
        let answer = client.list_agents(asked).await.unwrap();
        let told = answer.metadata().get("x-ratelimit-remaining");
        left.push(told.map(|it| it.to_str().unwrap().to_owned()));
    }
    let last = Some("0".to_owned());
    assert_eq!(left, [None, None, None, None, last]);
    counted(&world, "rate_operation", 1).await;
    counted(&world, "rate_key", 2).await;
    counted(&world, "rate_tenant", 0).await;
    for wrong in [
        json!({"key": {"count": "0", "seconds": "1"}}),
        json!({"key": {"count": "1", "seconds": "100000"}}),
        json!({"operations": {"NoSuch": rate(1)}}),
    ] {
        let refused = world.call("PUT", "/v1/limits", &wrong.to_string()).await;
        refused.problem(400, Code::LimitMalformed);
    }
    let mine = json!({"server": rate(1)}).to_string();
    let refused = world.call("PUT", "/v1/tenants/acme/limits", &mine).await;
    refused.problem(400, Code::LimitMalformed);
}

#[tokio::test]
async fn a_hundred_messages_at_the_last_of_a_quota() {
    let world = World::new().await;
    world.tenant("acme").await;
    let (id, key) = world.key("acme", "admin", &[]).await;
    let sink = crate::support::agent("a", "deaf", "");
    world.as_key(&key, "POST", "/v1/agents", sink).await.is(201);
    let quota = json!({"messages": {"limit": "7", "period": "month"}});
    put(&world, "/v1/tenants/acme/quota", quota).await;
    let sends = (0..100).map(|_| world.as_key(&key, "POST", "/v1/messages", request("a", "x")));
    let answers = futures::future::join_all(sends).await;
    let accepted = answers.iter().filter(|it| it.status == 202).count();
    assert_eq!(accepted, 7);
    for refused in answers.into_iter().filter(|it| it.status != 202) {
        // Where only messages on their way stand before it, one of them may not come to pass.
        let wait = refused.header("retry-after").to_owned();
        let reset = refused.header("x-ratelimit-reset").to_owned();
        assert!(wait == "1" || wait == reset, "{wait} of {reset}");
        assert_eq!(refused.header("x-ratelimit-limit"), "7");
        assert_eq!(refused.header("x-ratelimit-remaining"), "0");
        let policy = refused.header("ratelimit-policy");
        assert!(policy.starts_with("\"messages\";q=7;w="), "{policy}");
        let state = refused.header("ratelimit");
        assert_eq!(state, format!("\"messages\";r=0;t={reset}"));
        refused.problem(429, Code::QuotaExceeded);
    }
    counted(&world, "quota_messages", 93).await;
    // The same over gRPC.
    let mut asked = tonic::Request::new(caxton_api::v1::SendMessageRequest {
        message: Some(serde_json::from_value(request("a", "x")).unwrap()),
        wait: String::new(),
    });
    asked
        .metadata_mut()
        .insert("x-api-key", key.parse().unwrap());
    let status = world.grpc().await.send_message(asked).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
    let policy = status.metadata().get("ratelimit-policy");
    let policy = policy.and_then(|it| it.to_str().ok()).unwrap_or_default();
    assert!(policy.starts_with("\"messages\";q=7;w="), "{policy}");
    let usage = world
        .as_key(&key, "GET", "/v1/tenants/acme/usage", Value::Null)
        .await;
    let usage = usage.is(200).json();
    assert_eq!(usage["messages"]["month"], "7");
    assert_eq!(usage["quota"]["messages"]["limit"], "7");
    let of_key = format!("/v1/tenants/acme/usage?key={id}");
    let usage = world
        .as_key(&key, "GET", &of_key, Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(usage["messages"]["day"], "7");
    // What was refused for another reason is not counted.
    put(&world, "/v1/tenants/acme/quota", json!({})).await;
    let missing = world
        .as_key(&key, "POST", "/v1/messages", request("nobody", "x"))
        .await;
    missing.problem(404, Code::ReceiverUnknown);
    let usage = world
        .as_key(&key, "GET", "/v1/tenants/acme/usage", Value::Null)
        .await
        .json();
    assert_eq!(usage["messages"]["month"], "7");
    let other = world
        .as_key(&key, "GET", "/v1/tenants/default/usage", Value::Null)
        .await;
    other.problem(404, Code::TenantNotFound);
}

/// That so many refusals of a kind were counted.
#[track_caller]
fn counted(world: &World, kind: &str, times: u32) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let text = world.get("/metrics").await.is(200).text;
        let line = format!("caxton_limit_refusals_total{{kind=\"{kind}\"}} {times}");
        assert!(text.lines().any(|it| it == line), "{place}: {line}\n{text}");
    }
}
