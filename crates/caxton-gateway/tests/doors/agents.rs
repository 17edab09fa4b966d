//! Agents: deployed, listed, changed, started, stopped, removed.

use caxton_core::Code;
use serde_json::json;

use crate::support::{World, agent};

#[tokio::test]
async fn an_agent_lives_from_deployment_to_removal() {
    let world = World::new().await;
    let made = world
        .deploy("a", "echo", "capabilities = [{ name = \"echo\" }]")
        .await;
    assert_eq!(made["name"], "a");
    assert_eq!(made["tenant"], "default");
    assert_eq!(made["version"], "1.0.0");
    assert_eq!(made["behavior"], "wasm");
    assert_eq!(made["state"], "running");
    assert_eq!(
        made["capabilities"],
        json!([{"name": "echo", "version": "0.1.0"}])
    );
    assert_eq!(made["limits"]["memoryBytesMax"], "67108864");
    let delivery = json!({"durability": "durable", "mailbox": "agent", "attemptsMax": 5});
    assert_eq!(made["delivery"], delivery);
    assert_eq!(made["componentSha256"].as_str().unwrap().len(), 64);
    assert!(made["manifest"].as_str().unwrap().contains("name = \"a\""));

    let shown = world.get("/v1/agents/a").await.is(200).json();
    assert_eq!(shown, made);
    let reply = world.ask("a", "hi").await;
    assert_eq!(reply["content"], "hi");
    let stats = |it: &serde_json::Value| it["stats"]["messagesHandled"] == "1";
    world.until("/v1/agents/a", stats).await;

    let mut newer = agent("a", "deaf", "");
    newer["manifest"] = json!("name = \"a\"\nversion = \"2.0.0\"");
    let put = world.call("PUT", "/v1/agents/a", &newer.to_string()).await;
    let put = put.is(200).json();
    assert_eq!(
        (&put["version"], &put["state"]),
        (&json!("2.0.0"), &json!("running"))
    );
    assert_ne!(put["componentSha256"], made["componentSha256"]);
    assert_eq!(put["createTime"], made["createTime"]);

    for (step, state) in [
        ("stop", "stopped"),
        ("start", "running"),
        ("start", "running"),
        ("drain", "stopped"),
    ] {
        let path = format!("/v1/agents/a/{step}");
        let answer = world.call("POST", &path, "").await.is(200).json();
        assert_eq!(answer["state"], state, "after {step}");
    }
    let gone = world.call("DELETE", "/v1/agents/a", "").await.is(204);
    assert_eq!(gone.text, "");
    world
        .get("/v1/agents/a")
        .await
        .problem(404, Code::AgentNotFound);
}

#[tokio::test]
async fn an_agent_may_wait_to_be_started() {
    let world = World::new().await;
    let mut body = agent("a", "echo", "");
    body["start"] = json!(false);
    let made = world.post("/v1/agents", body.clone()).await.is(201).json();
    assert_eq!(made["state"], "loaded");
    let refused = world
        .post("/v1/messages", crate::support::request("a", "x"))
        .await;
    refused.problem(409, Code::ReceiverStopped);
    // A new version changes nothing of that, unless it says so.
    let put = world.call("PUT", "/v1/agents/a", &body.to_string()).await;
    assert_eq!(put.is(200).json()["state"], "loaded");
    body["start"] = json!(true);
    let put = world.call("PUT", "/v1/agents/a", &body.to_string()).await;
    assert_eq!(put.is(200).json()["state"], "running");
}

#[tokio::test]
async fn what_is_wrong_with_a_deployment_is_told() {
    let world = World::new().await;
    world.deploy("taken", "echo", "").await;
    let check = async |body: serde_json::Value, status: u16, code: Code, says: &str| {
        let problem = world.post("/v1/agents", body).await.problem(status, code);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{detail}");
    };
    check(agent("taken", "echo", ""), 409, Code::AgentExists, "taken").await;
    check(
        agent("ams", "echo", ""),
        409,
        Code::AgentNameReserved,
        "ams",
    )
    .await;
    check(
        agent("a", "nonsense", ""),
        422,
        Code::ComponentMalformed,
        "native",
    )
    .await;
    check(
        agent("a", "echo", "limts = 1"),
        400,
        Code::ManifestMalformed,
        "limts",
    )
    .await;
    check(
        agent("../a", "echo", ""),
        400,
        Code::ManifestMalformed,
        "../a",
    )
    .await;
    check(
        json!({"manifest": "name = \"a\""}),
        400,
        Code::ComponentMissing,
        "component",
    )
    .await;
    check(
        json!({}),
        400,
        Code::ManifestMalformed,
        "`manifest` is missing",
    )
    .await;
    check(
        json!({"manifst": ""}),
        400,
        Code::FieldUnknown,
        "did you mean `manifest`",
    )
    .await;
    check(
        json!({"manifest": 7}),
        400,
        Code::ParameterMalformed,
        "string",
    )
    .await;
    check(
        json!({"manifest": "", "component": "*"}),
        400,
        Code::ParameterMalformed,
        "Invalid symbol",
    )
    .await;
    world
        .get("/v1/agents/a")
        .await
        .problem(404, Code::AgentNotFound);
    let put = agent("other", "echo", "").to_string();
    let put = world.call("PUT", "/v1/agents/taken", &put).await;
    put.problem(400, Code::ParameterMalformed);
}

#[tokio::test]
async fn every_operation_on_a_missing_agent_is_404() {
    let world = World::new().await;
    let put = agent("nobody", "echo", "").to_string();
    for (method, path, body) in [
        ("GET", "/v1/agents/nobody", ""),
        ("DELETE", "/v1/agents/nobody", ""),
        ("PUT", "/v1/agents/nobody", put.as_str()),
        ("POST", "/v1/agents/nobody/start", ""),
        ("POST", "/v1/agents/nobody/stop", ""),
        ("POST", "/v1/agents/nobody/drain", ""),
        ("GET", "/v1/agents/nobody/logs", ""),
        ("GET", "/v1/agents/nobody/logs/stream", ""),
        ("GET", "/v1/agents/nobody/logs?follow=true", ""),
    ] {
        let answer = world.call(method, path, body).await;
        let problem = answer.problem(404, Code::AgentNotFound);
        let expected = path.split('?').next().unwrap();
        assert_eq!(problem["instance"], expected);
    }
    let bad = world.get("/v1/agents/..%2Fx").await;
    bad.problem(400, Code::AgentNameMalformed);
}

#[tokio::test]
async fn a_list_has_pages_and_filters() {
    let world = World::new().await;
    for (name, more) in [
        ("a", ""),
        ("b", "capabilities = [{ name = \"add\" }]"),
        ("c", ""),
        ("d", "capabilities = [{ name = \"add\" }]"),
    ] {
        world.deploy(name, "echo", more).await;
    }
    world.call("POST", "/v1/agents/c/stop", "").await.is(200);
    let names = async |query: &str| {
        let (mut names, mut token) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/agents?{query}&pageToken={token}");
            let page = world.get(&path).await.is(200).json();
            let agents = page["agents"].as_array().unwrap();
            assert!(agents.iter().all(|it| it.get("manifest").is_none()));
            names.extend(
                agents
                    .iter()
                    .map(|it| it["name"].as_str().unwrap().to_owned()),
            );
            names.push("|".to_owned());
            token = page["nextPageToken"].as_str().unwrap().to_owned();
            if token.is_empty() {
                return names.concat();
            }
        }
    };
    assert_eq!(names("").await, "abcd|");
    assert_eq!(names("pageSize=2").await, "ab|cd|");
    assert_eq!(names("pageSize=3").await, "abc|d|");
    assert_eq!(names("pageSize=100000").await, "abcd|");
    assert_eq!(names("capability=add&pageSize=1").await, "b|d|");
    assert_eq!(names("state=stopped").await, "c|");
    assert_eq!(names("state=loaded").await, "|");
    for (query, field) in [
        ("state=asleep", "state"),
        ("pageToken=%00", "pageToken"),
        ("pageToken=garbage", "pageToken"),
        ("pageSize=-1", "pageSize"),
    ] {
        let answer = world.get(&format!("/v1/agents?{query}")).await;
        let problem = answer.problem(400, Code::ParameterMalformed);
        assert_eq!(problem["fields"][0]["field"], field);
    }
}

#[tokio::test]
async fn a_drain_waits_as_long_as_it_is_told() {
    let world = World::new().await;
    world.deploy("slow", "stuck", "").await;
    world.say("slow", "x").await;
    let drain = json!({"timeout": "50ms"});
    let draining = world
        .post("/v1/agents/slow/drain", drain)
        .await
        .is(200)
        .json();
    assert_eq!(draining["state"], "draining");
    world.gate.add_permits(1);
    world
        .until("/v1/agents/slow", |it| it["state"] == "stopped")
        .await;
    let bad = world
        .post("/v1/agents/slow/drain", json!({"timeout": "soon"}))
        .await;
    bad.problem(400, Code::ParameterMalformed);
}
