//! Calls from outside through the doors: REST, gRPC, events, a WebSocket, and what goes wrong.

use caxton_api::v1;
use caxton_api::v1::external_agent_router_client::ExternalAgentRouterClient;
use caxton_core::Code;
use caxton_engine::Options as EngineOptions;
use futures::StreamExt;
use serde_json::{Value, json};
use tonic_types::StatusExt;

use crate::support::{Events, KEY, World};

async fn submit(world: &World, agent: &str, content: &str) -> String {
    let body = json!({ "content": content });
    let made = world.post(&format!("/v1/agents/{agent}/jobs"), body).await;
    made.is(202).json()["id"].as_str().unwrap().to_owned()
}

/// Follows a job to its end; gives the names of its states and the last event's job.
async fn follow(world: &World, id: &str) -> (Vec<String>, Value) {
    let events = world.events(&format!("/v1/jobs/{id}/stream"), None).await;
    to_end(events).await
}

async fn to_end(mut events: Events) -> (Vec<String>, Value) {
    let mut states = Vec::new();
    while let Some(event) = events.next().await {
        assert_eq!(
            (event.name.as_str(), &event.data["id"]),
            ("job", &json!(event.id))
        );
        states.push(event.data["state"].as_str().unwrap().to_owned());
        if !event.data["job"].is_null() {
            assert_eq!(events.next().await, None, "the last event is the last");
            return (states, event.data["job"].clone());
        }
    }
    panic!("no end: {states:?}")
}

async fn grpc(world: &World) -> ExternalAgentRouterClient<tonic::transport::Channel> {
    ExternalAgentRouterClient::new(world.channel().await)
}

fn keyed<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request
        .metadata_mut()
        .insert("x-api-key", KEY.parse().unwrap());
    request
}

#[tokio::test]
async fn an_invocation_answers() {
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    let body = json!({"content": "hi ä", "encoding": "text/plain", "timeout": "20s"});
    let done = world.post("/v1/agents/a/invoke", body).await.is(200).json();
    assert_eq!(done["reply"]["content"], "hi ä");
    assert_eq!(done["reply"]["performative"], "inform");
    assert_eq!(done["reply"]["inReplyTo"], done["id"]);
    assert_eq!(done["attempts"], 1);
    let asked = world
        .get(&format!("/v1/messages/{}", done["id"].as_str().unwrap()))
        .await;
    let asked = asked.is(200).json();
    assert_eq!(asked["encoding"], "text/plain");
    assert!(asked["replyBy"].is_string());
    let bytes = json!({"contentBase64": "/w=="});
    let done = world
        .post("/v1/agents/a/invoke", bytes)
        .await
        .is(200)
        .json();
    assert_eq!(done["reply"]["contentBase64"], "/w==");

    let mut client = grpc(&world).await;
    let request = v1::InvokeAgentRequest {
        agent: "a".to_owned(),
        body: Some(v1::invoke_agent_request::Body::Content("hi".to_owned())),
        ..Default::default()
    };
    let done = client
        .invoke_agent(keyed(request))
        .await
        .unwrap()
        .into_inner();
    let expected = Some(v1::message::Body::Content("hi".to_owned()));
    assert_eq!(done.reply.unwrap().body, expected);
}

#[tokio::test]
async fn what_an_invocation_can_be_refused_for() {
    let world = World::new().await;
    world.deploy("deaf", "deaf", "").await;
    world
        .deploy("broken", "broken", "[delivery]\nattempts_max = 1\n")
        .await;
    let invoke = |agent: &str, body: Value| {
        let path = format!("/v1/agents/{agent}/invoke");
        let world = &world;
        async move { world.post(&path, body).await }
    };
    invoke("nobody", json!({}))
        .await
        .problem(404, Code::AgentNotFound);
    invoke("deaf", json!({"timeout": "1ms"}))
        .await
        .problem(504, Code::CallTimeout);
    invoke("deaf", json!({"timeout": "11m"}))
        .await
        .problem(400, Code::ParameterMalformed);
    invoke("deaf", json!({"timeout": "soon"}))
        .await
        .problem(400, Code::ParameterMalformed);
    invoke("deaf", json!({"attemptsMax": 101}))
        .await
        .problem(400, Code::ParameterMalformed);
    invoke("deaf", json!({"performative": "asks"}))
        .await
        .problem(400, Code::PerformativeUnknown);
    invoke("deaf", json!({"receiver": []}))
        .await
        .problem(400, Code::FieldUnknown);
    // An answer that says no: its code, and the answer itself.
    let refused = invoke("broken", json!({"content": "x"})).await;
    let problem = refused.problem(422, Code::HandlerFailed);
    assert!(
        problem["detail"].as_str().unwrap().contains("it broke"),
        "{problem}"
    );
    assert_eq!(problem["reply"]["performative"], "failure");
    assert!(
        problem["reply"]["content"]
            .as_str()
            .unwrap()
            .contains("CX-3020"),
        "{problem}"
    );
    let mut client = grpc(&world).await;
    let request = v1::InvokeAgentRequest {
        agent: "broken".to_owned(),
        ..Default::default()
    };
    let status = client.invoke_agent(keyed(request)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "CX-3020");
    assert_eq!(info.metadata["replyPerformative"], "failure");
    assert!(info.metadata["replyContent"].contains("it broke"));
}

#[tokio::test]
async fn a_call_that_names_no_conversation_waits_for_nobody_elses() {
    let world = World::new().await;
    world.deploy("one", "echo", "").await;
    world
        .deploy("each", "echo", "[delivery]\nmailbox = \"conversation\"\n")
        .await;
    let conversation = async |agent: &str| {
        let path = format!("/v1/agents/{agent}/invoke");
        let answer = world.post(&path, json!({"content": "hi"})).await;
        let answer = answer.is(200).json();
        answer["reply"]["conversationId"].clone()
    };
    // Where each conversation has a mailbox, so does each call.
    let (first, second) = (conversation("each").await, conversation("each").await);
    assert!(first.is_string() && second.is_string(), "{first} {second}");
    assert_ne!(first, second);
    assert!(!conversation("one").await.is_string());
}

#[tokio::test]
async fn an_open_breaker_tells_when_to_come_back() {
    let world = World::new().await;
    world
        .deploy("broken", "broken", "[delivery]\nattempts_max = 1\n")
        .await;
    for _ in 0..5 {
        let refused = world.post("/v1/agents/broken/invoke", json!({})).await;
        refused.problem(422, Code::HandlerFailed);
    }
    let refused = world.post("/v1/agents/broken/invoke", json!({})).await;
    let after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=5).contains(&after));
    refused.problem(503, Code::AgentUnavailable);
    let shown = world.get("/v1/agents/broken").await.is(200).json();
    assert_eq!(shown["breaker"]["state"], "open");
    assert!(shown["breaker"]["retryTime"].is_string());
    let metrics = world.get("/metrics").await.is(200).text;
    for line in [
        "caxton_breakers_open{of=\"agent\"} 1",
        "caxton_breakers_open{of=\"provider\"} 0",
        "caxton_breaker_changes_total{of=\"agent\",state=\"open\"} 1",
        "caxton_breaker_changes_total{of=\"agent\",state=\"half-open\"} 0",
        "caxton_breaker_refused_total{of=\"agent\"} 1",
        "caxton_invocations_total{state=\"complete\"} 0",
        "caxton_invocations_total{state=\"failed\"} 6",
        "caxton_jobs_total{state=\"cancelled\"} 0",
        "caxton_jobs_open 0",
        "caxton_call_retries_total 0",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}");
    }
}

#[tokio::test]
async fn a_jobs_life_over_rest() {
    let world = World::new().await;
    world.deploy("slow", "stuck", "").await;
    let id = submit(&world, "slow", "hi").await;
    let path = format!("/v1/jobs/{id}");
    let running = world.until(&path, |it| it["state"] == "running").await;
    assert_eq!(running["agent"], "slow");
    assert_eq!(running["creator"], "admin");
    assert_eq!(running["reply"], Value::Null);
    assert!(running["expireTime"].is_string() && running["endTime"].is_null());
    let events = world.events(&format!("{path}/stream"), None).await;
    world.gate.add_permits(1);
    let (states, job) = to_end(events).await;
    assert_eq!(states, ["submitted", "running", "complete"]);
    assert_eq!(job["reply"]["content"], "hi");
    assert_eq!(world.get(&path).await.is(200).json(), job);
    // One that is over has its last event only; and `follow=true` is the same.
    assert_eq!(follow(&world, &id).await.0, ["complete"]);
    let mut events = world.events(&format!("{path}?follow=true"), None).await;
    assert_eq!(events.next().await.unwrap().data["job"], job);
    let mut events = world.events(&format!("{path}/stream"), Some("end")).await;
    assert_eq!(events.next().await, None);
    world.call("DELETE", &path, "").await.is(204);
    world.get(&path).await.problem(404, Code::JobNotFound);
    world
        .call("DELETE", &path, "")
        .await
        .problem(404, Code::JobNotFound);
    world
        .get("/v1/jobs/x")
        .await
        .problem(400, Code::IdMalformed);
}

#[tokio::test]
async fn a_job_is_cancelled_and_then_removed() {
    let world = World::new().await;
    world.deploy("slow", "stuck", "").await;
    let id = submit(&world, "slow", "x").await;
    let path = format!("/v1/jobs/{id}");
    let mut events = world.events(&format!("{path}/stream"), None).await;
    let cancelled = world
        .post(&format!("{path}/cancel"), json!({}))
        .await
        .is(200)
        .json();
    assert_eq!(cancelled["state"], "cancelled");
    let again = world
        .post(&format!("{path}/cancel"), json!({}))
        .await
        .is(200)
        .json();
    assert_eq!(again, cancelled);
    let mut last = Value::Null;
    while let Some(event) = events.next().await {
        last = event.data;
    }
    assert_eq!(last["job"]["state"], "cancelled", "followers hear of it");
    world.call("DELETE", &path, "").await.is(204);
    world.get(&path).await.problem(404, Code::JobNotFound);
    let id = submit(&world, "slow", "x").await;
    let path = format!("/v1/jobs/{id}");
    world.call("DELETE", &path, "").await.is(204);
    assert_eq!(world.get(&path).await.is(200).json()["state"], "cancelled");
    // What is done to jobs is written down.
    let listed = world.get("/v1/audit?pageSize=10").await.is(200).text;
    assert!(
        listed.contains("job.cancel") && listed.contains("job.remove"),
        "{listed}"
    );
}

#[tokio::test]
async fn jobs_are_listed_and_filtered() {
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    world.deploy("slow", "stuck", "").await;
    let mut ids = Vec::new();
    for agent in ["a", "slow", "a", "slow", "a"] {
        let id = submit(&world, agent, "x").await;
        if agent == "a" {
            follow(&world, &id).await;
        }
        ids.insert(0, id);
    }
    let list = |query: &str| {
        let path = format!("/v1/jobs?{query}");
        let world = &world;
        async move {
            let page = world.get(&path).await.is(200).json();
            let ids = page["jobs"].as_array().unwrap().iter();
            let ids: Vec<Value> = ids.map(|it| it["id"].clone()).collect();
            (
                json!(ids),
                page["nextPageToken"].as_str().unwrap().to_owned(),
            )
        }
    };
    assert_eq!(list("").await.0, json!(ids), "the newest first");
    assert_eq!(list("agent=slow").await.0, json!([ids[1], ids[3]]));
    assert_eq!(
        list("state=complete").await.0,
        json!([ids[0], ids[2], ids[4]])
    );
    assert_eq!(list("state=failed").await.0, json!([]));
    assert_eq!(list("agent=a&state=running").await.0, json!([]));
    let (first, token) = list("pageSize=3").await;
    let (second, end) = list(&format!("pageSize=3&pageToken={token}")).await;
    assert_eq!((first, second), (json!(ids[..3]), json!(ids[3..])));
    assert_eq!(end, "");
    let page = world.get("/v1/jobs?state=complete").await.json();
    assert_eq!(
        page["jobs"][0]["reply"],
        Value::Null,
        "without their answers"
    );
    world
        .get("/v1/jobs?state=done")
        .await
        .problem(400, Code::ParameterMalformed);
    world
        .get("/v1/jobs?pageToken=00")
        .await
        .problem(400, Code::ParameterMalformed);
}

#[tokio::test]
async fn a_repeated_submission_is_one_job() {
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    let submit = |body: &'static str| {
        let world = &world;
        let key = [("idempotency-key", "k-1")];
        async move {
            world
                .call_with("POST", "/v1/agents/a/jobs", body, &key)
                .await
        }
    };
    let first = submit(r#"{"content": "x"}"#).await.is(202).json();
    let again = submit(r#"{"content": "x"}"#).await.is(202).json();
    assert_eq!(first["id"], again["id"]);
    submit(r#"{"content": "y"}"#)
        .await
        .problem(422, Code::IdempotencyMismatch);
    let jobs = world.get("/v1/jobs").await.json();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1);
    let key = [("idempotency-key", "k-2")];
    let invoke = || world.call_with("POST", "/v1/agents/a/invoke", "{}", &key);
    let first = invoke().await.is(200).json();
    assert_eq!(invoke().await.is(200).json()["id"], first["id"]);
}

#[tokio::test]
async fn a_repeated_stream_of_an_invocation_is_one() {
    let mut world = World::new().await;
    world.deploy("slow", "stuck", "").await;
    let (path, body) = ("/v1/agents/slow/invoke/stream", json!({"content": "x"}));
    let key = [("idempotency-key", "k-1")];
    let mut events = world.stream(path, &body, &key).await;
    assert_eq!(events.next().await.unwrap().data["state"], "submitted");
    let repeat = || world.call_with("POST", path, r#"{"content":"x"}"#, &key);
    repeat().await.problem(409, Code::IdempotencyBusy);
    let other = world.call_with("POST", path, r#"{"content":"y"}"#, &key);
    other.await.problem(422, Code::IdempotencyMismatch);
    // Whoever asked leaves: the answer is kept all the same.
    drop(events);
    world.gate.add_permits(1);
    let listed = "/v1/messages?agent=slow";
    let two = |it: &Value| it["messages"].as_array().unwrap().len() == 2;
    let messages = world.until(listed, two).await;
    let mut again = world.settled(path, &body, &key).await;
    let last = again.next().await.unwrap();
    assert_eq!(last.data["state"], "complete");
    assert_eq!(last.data["response"]["reply"]["content"], "x");
    let asked = &last.data["response"]["id"];
    let ids = messages["messages"].as_array().unwrap().iter();
    assert!(ids.into_iter().any(|it| it["id"] == *asked));
    assert_eq!(again.next().await, None);
    let other = world.again().await;
    let after = other.stream(path, &body, &key).await.next().await.unwrap();
    assert_eq!(after.data["response"], last.data["response"]);
    let messages = other.get(listed).await.json();
    assert!(two(&messages), "it was not asked again: {messages}");
    world.stop();
    // Without a key it is not begun anew as if it went on.
    let headers = [("last-event-id", "1")];
    let refused = other.call_with("POST", path, "{}", &headers).await;
    refused.problem(404, Code::ResumeLost);
}

#[tokio::test]
async fn a_tenants_open_jobs_are_bounded() {
    let mut engine = EngineOptions::default();
    engine.jobs.open_max = 2;
    let world = World::with_engine(engine, |_| {}).await;
    world.deploy("slow", "stuck", "").await;
    submit(&world, "slow", "x").await;
    submit(&world, "slow", "x").await;
    let refused = world.post("/v1/agents/slow/jobs", json!({})).await;
    assert!(!refused.header("retry-after").is_empty());
    refused.problem(429, Code::JobsTooMany);
}

#[tokio::test]
async fn a_job_over_grpc_is_the_one_over_rest() {
    let world = World::new().await;
    world.deploy("slow", "stuck", "").await;
    let mut client = grpc(&world).await;
    let request = v1::CreateJobRequest {
        agent: "slow".to_owned(),
        timeout: "1m".to_owned(),
        ..Default::default()
    };
    let made = client
        .create_job(keyed(request))
        .await
        .unwrap()
        .into_inner();
    let watch = v1::WatchJobRequest {
        job: made.id.clone(),
    };
    let mut events = client.watch_job(keyed(watch)).await.unwrap().into_inner();
    assert_eq!(events.next().await.unwrap().unwrap().state, "submitted");
    world.gate.add_permits(1);
    let mut last = v1::JobEvent::default();
    while let Some(event) = events.next().await {
        last = event.unwrap();
    }
    let get = v1::GetJobRequest {
        job: made.id.clone(),
    };
    let got = client.get_job(keyed(get)).await.unwrap().into_inner();
    assert_eq!(last.job.as_ref(), Some(&got));
    let rest = world.get(&format!("/v1/jobs/{}", made.id)).await.json();
    assert_eq!(serde_json::to_value(&got).unwrap(), rest);
}

#[tokio::test]
async fn an_invocation_is_followed() {
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    world
        .deploy("broken", "broken", "[delivery]\nattempts_max = 1\n")
        .await;
    let mut client = grpc(&world).await;
    let request = |agent: &str| {
        keyed(v1::InvokeAgentRequest {
            agent: agent.to_owned(),
            body: Some(v1::invoke_agent_request::Body::Content("hi".to_owned())),
            ..Default::default()
        })
    };
    let mut events = client
        .stream_invocation(request("a"))
        .await
        .unwrap()
        .into_inner();
    let mut states = Vec::new();
    let mut response = None;
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        states.push(event.state);
        response = event.response;
    }
    assert_eq!(states, ["submitted", "running", "complete"]);
    let expected = Some(v1::message::Body::Content("hi".to_owned()));
    assert_eq!(response.unwrap().reply.unwrap().body, expected);
    let mut events = client
        .stream_invocation(request("broken"))
        .await
        .unwrap()
        .into_inner();
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    let status = last.unwrap().unwrap_err();
    assert_eq!(status.get_details_error_info().unwrap().reason, "CX-3020");
    let missing = client
        .stream_invocation(request("nobody"))
        .await
        .unwrap_err();
    assert_eq!(missing.code(), tonic::Code::NotFound);

    // The same as events over REST.
    let post = |agent: &str| {
        let path = format!("/v1/agents/{agent}/invoke/stream");
        let world = &world;
        async move { world.post(&path, json!({"content": "hi"})).await }
    };
    let answer = post("a").await.is(200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let text = answer.text;
    assert_eq!(text.matches("event: invocation").count(), 3, "{text}");
    assert!(text.contains("\"state\":\"complete\""), "{text}");
    let text = post("broken").await.is(200).text;
    assert!(
        text.contains("event: error") && text.contains("CX-3020"),
        "{text}"
    );
    post("nobody").await.problem(404, Code::AgentNotFound);
}

#[tokio::test]
async fn a_stream_of_a_job_resumes() {
    let world = World::new().await;
    world.deploy("slow", "stuck", "").await;
    let id = submit(&world, "slow", "x").await;
    let path = format!("/v1/jobs/{id}/stream");
    let mut events = world.events(&path, None).await;
    let first = events.next().await.unwrap();
    assert_eq!(first.data["state"], "submitted");
    let running = events.next().await.unwrap();
    assert_eq!(running.data["state"], "running");
    drop(events);
    let mut events = world.events(&path, Some(&first.id)).await;
    assert_eq!(events.next().await.unwrap(), running);
    let (epoch, _) = first.id.split_once('-').unwrap();
    // Of an earlier start, it begins anew; of none, it is refused.
    let mut events = world.events(&path, Some("0-7")).await;
    assert_eq!(events.next().await.unwrap(), first);
    for (id, status, code) in [
        (format!("{epoch}-99"), 404, Code::ResumeLost),
        ("99-0".to_owned(), 404, Code::ResumeLost),
        ("end".to_owned(), 404, Code::ResumeLost),
        ("x".to_owned(), 400, Code::ParameterMalformed),
    ] {
        let headers = [("last-event-id", id.as_str())];
        world
            .call_with("GET", &path, "", &headers)
            .await
            .problem(status, code);
    }
}
