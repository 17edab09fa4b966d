//! Chat: whole and as events, resumed, cancelled, repeated.

use caxton_core::error::Code;
use serde_json::{Value, json};

use crate::support::{Event, KEY, World, guard};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub const ASSISTANT: &str = "behavior = \"assistant\"\n[assistant]\nmodel = \"demo\"\n";

/// A world with an assistant.
pub async fn world() -> World {
    let world = World::new().await;
    assistant(&world, "helper").await;
    world
}

pub async fn assistant(world: &World, name: &str) {
    let manifest = format!("name = \"{name}\"\nversion = \"1.0.0\"\n{ASSISTANT}");
    let deployed = world.post("/v1/agents", json!({ "manifest": manifest }));
    deployed.await.is(201);
}

pub fn say(message: &str) -> Value {
    json!({"agent": "helper", "message": message})
}

/// A turn as events, to its end.
async fn told(world: &World, body: Value) -> Vec<Event> {
    let headers = [("accept", "text/event-stream")];
    let mut events = world.stream("/v1/chat", &body, &headers).await;
    events.rest().await
}

fn text(events: &[Event]) -> String {
    let deltas = events.iter().filter(|it| it.name == "message.delta");
    deltas.map(|it| it.data["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_answer_is_whole_with_its_session_turn_and_usage() {
    let world = world().await;
    let answer = world.post("/v1/chat", say("hello there you")).await.is(200);
    let answer = answer.json();
    assert_eq!(answer["message"]["role"], "assistant");
    assert_eq!(answer["message"]["content"], "hello there you");
    assert_eq!(answer["model"], "demo");
    assert_eq!(answer["usage"]["inputTokens"], 12);
    assert_eq!(answer["usage"]["totalTokens"], 17);
    let turn = answer["turnId"].as_str().unwrap();
    let shown = world.get(&format!("/v1/turns/{turn}")).await.is(200).json();
    assert_eq!(shown["sessionId"], answer["sessionId"]);
    assert_eq!(shown["state"], "completed");
}

#[tokio::test]
async fn events_have_names_ids_and_one_end() {
    let world = world().await;
    for body in [
        json!({"agent": "helper", "message": "think", "stream": true}),
        json!({"agent": "helper", "message": "think"}),
    ] {
        let events = told(&world, body).await;
        let names: Vec<&str> = events.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "turn.started",
                "thinking.delta",
                "thinking.delta",
                "message.delta",
                "turn.completed"
            ]
        );
        let turn = events[0].data["turnId"].as_str().unwrap();
        let numbers: Vec<u64> = events
            .iter()
            .map(|it| {
                let number = it.id.strip_prefix(&format!("{turn}.")).unwrap();
                assert_eq!(it.data["id"], it.id.as_str());
                assert_eq!(it.data["type"], it.name.as_str());
                number.parse().unwrap()
            })
            .collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        let last = &events[4].data;
        assert_eq!(last["message"]["content"], "done");
        assert_eq!(last["usage"]["outputTokens"], 5);
    }
    let events = told(&world, say("server-tool")).await;
    let call = events.iter().find(|it| it.name == "tool.call").unwrap();
    assert_eq!(call.data["tool"]["arguments"], r#"{"zone":"UTC"}"#);
    let result = events.iter().find(|it| it.name == "tool.result").unwrap();
    assert_eq!(result.data["tool"]["content"], "noon");
}

#[tokio::test]
async fn a_stream_goes_on_exactly_behind_any_event() {
    let world = world().await;
    let all = told(&world, say("count 20")).await;
    assert_eq!(text(&all).split_whitespace().count(), 20);
    let turn = all[0].data["turnId"].as_str().unwrap().to_owned();
    for at in [0, 1, 7, all.len() - 2, all.len() - 1] {
        let id = all[at].id.as_str();
        let headers = [("last-event-id", id)];
        let mut again = world.stream("/v1/chat", &say("count 20"), &headers).await;
        assert_eq!(again.rest().await, all[at + 1..], "after {at}, by POST");
        let path = format!("/v1/turns/{turn}/events");
        let mut again = world.events(&path, Some(id)).await;
        assert_eq!(again.rest().await, all[at + 1..], "after {at}, by GET");
        let number = id.rsplit('.').next().unwrap();
        let mut again = world.events(&format!("{path}?after={number}"), None).await;
        assert_eq!(again.rest().await, all[at + 1..], "after {at}, by number");
    }
    let malformed = [("last-event-id", "x.1")];
    let body = say("hi").to_string();
    let refused = world.call_with("POST", "/v1/chat", &body, &malformed);
    refused.await.problem(400, Code::ParameterMalformed);
    let another = "00000000000000000000000000.1";
    let path = format!("/v1/turns/{turn}/events");
    let headers = [("last-event-id", another)];
    let refused = world.call_with("GET", &path, "", &headers).await;
    refused.problem(400, Code::ParameterMalformed);
    let never = format!("{turn}.{}", all.len() + 1);
    let headers = [("last-event-id", never.as_str())];
    let refused = world.call_with("GET", &path, "", &headers).await;
    refused.problem(404, Code::ResumeLost);
    let body = say("hi").to_string();
    let refused = world.call_with("POST", "/v1/chat", &body, &headers);
    refused.await.problem(404, Code::ResumeLost);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_lose_the_turn() {
    let world = world().await;
    let mut body = say("wait");
    body["sessionId"] = json!("s1");
    let headers = [("accept", "text/event-stream")];
    let mut events = world.stream("/v1/chat", &body, &headers).await;
    let started = events.next().await.unwrap();
    let first = events.next().await.unwrap();
    assert_eq!(first.data["text"], "first ");
    drop(events);
    world.gate.add_permits(1);
    let turn = started.data["turnId"].as_str().unwrap();
    let path = format!("/v1/turns/{turn}/events");
    let mut events = world.events(&path, Some(&first.id)).await;
    let rest = events.rest().await;
    assert_eq!(text(&rest), "second");
    let listed = world.get("/v1/sessions/s1/messages").await.is(200).json();
    let said = listed["messages"].as_array().unwrap();
    let said: Vec<&str> = said
        .iter()
        .map(|it| it["content"].as_str().unwrap())
        .collect();
    assert_eq!(said, ["wait", "first second"]);
}

/// Who reads nothing holds up neither the turn nor anybody else, and has all of it when it reads at last.
#[tokio::test]
async fn a_slow_reader_holds_up_nobody_and_loses_nothing() {
    const WORDS: usize = 60_000;
    let world = world().await;
    let address = world.base.trim_start_matches("http://");
    let mut slow = tokio::net::TcpStream::connect(address).await.unwrap();
    let body = json!({"agent": "helper", "message": format!("count {WORDS}"), "sessionId": "slow"});
    let body = body.to_string();
    let head = format!(
        "POST /v1/chat HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {KEY}\r\n\
         accept: text/event-stream\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    // The turn ends, though nobody reads, and others are answered meanwhile.
    let mut said = 0;
    while said < 2 {
        world.post("/v1/chat", say("hello")).await.is(200);
        let path = "/v1/sessions/slow/messages";
        let listed = world.get(path).await;
        said = match listed.status.as_u16() {
            200 => listed.json()["messages"].as_array().unwrap().len(),
            _ => 0,
        };
    }
    let mut rest = Vec::new();
    guard(slow.read_to_end(&mut rest)).await.unwrap();
    let rest = String::from_utf8(rest).unwrap();
    assert!(
        rest.len() > 4 << 20,
        "more than sockets hold: {}",
        rest.len()
    );
    let data = rest.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> = data.map(|it| serde_json::from_str(it).unwrap()).collect();
    let text: String = events
        .iter()
        .filter(|it| it["type"] == "message.delta")
        .map(|it| it["text"].as_str().unwrap())
        .collect();
    let numbers = text
        .split_whitespace()
        .map(|it| it.parse::<usize>().unwrap());
    assert!(numbers.eq(1..=WORDS));
    assert_eq!(events.last().unwrap()["type"], "turn.completed");
}

#[tokio::test]
async fn a_failure_has_its_status_or_its_event() {
    let world = world().await;
    for (code, status) in [
        (Code::ModelRateLimited, 429),
        (Code::ModelUnavailable, 503),
        (Code::ContextTooLong, 413),
        (Code::TurnTimeout, 504),
    ] {
        let message = format!("fail {code}");
        let failed = world.post("/v1/chat", say(&message)).await;
        let problem = failed.problem(status, code);
        assert_eq!(problem["detail"], "as it was told");
        // Whoever is refused finds what was said.
        let session = problem["sessionId"].as_str().unwrap();
        let turn = format!("/v1/turns/{}", problem["turnId"].as_str().unwrap());
        let turn = world.get(&turn).await.is(200).json();
        assert_eq!(turn["sessionId"], session);
        assert_eq!(turn["state"], "failed");
        let events = told(&world, say(&message)).await;
        let last = events.last().unwrap();
        assert_eq!(last.name, "turn.failed");
        assert_eq!(last.data["error"]["code"], code.as_str());
        assert_eq!(last.data["error"]["status"], status);
        assert_eq!(last.data["error"]["traceId"].as_str().unwrap().len(), 32);
    }
    let events = told(&world, say("break CX-7010")).await;
    assert_eq!(text(&events), "half ");
    assert_eq!(events.last().unwrap().name, "turn.failed");
    world.deploy("native", "echo", "").await;
    let refused = world.post("/v1/chat", json!({"agent": "native", "message": "hi"}));
    refused.await.problem(422, Code::NotAnAssistant);
    let refused = world.post("/v1/chat", json!({"agent": "nobody", "message": "hi"}));
    refused.await.problem(404, Code::AgentNotFound);
}

#[tokio::test]
async fn a_turn_is_cancelled_once_and_for_all() {
    let world = world().await;
    let headers = [("accept", "text/event-stream")];
    let mut events = world.stream("/v1/chat", &say("wait"), &headers).await;
    let started = events.next().await.unwrap();
    events.next().await.unwrap();
    let turn = started.data["turnId"].as_str().unwrap();
    let cancel = format!("/v1/turns/{turn}/cancel");
    world.post(&cancel, json!({})).await.is(204);
    let last = events.rest().await.pop().unwrap();
    assert_eq!(last.data["error"]["code"], Code::TurnCancelled.as_str());
    world.post(&cancel, json!({})).await.is(204);
    let nobodys = turn.replace(&turn[turn.len() - 4..], "0000");
    let cancel = format!("/v1/turns/{nobodys}/cancel");
    let missing = world.post(&cancel, json!({})).await;
    missing.problem(404, Code::TurnNotFound);
}

#[tokio::test]
async fn an_idempotency_key_says_it_once() {
    let world = world().await;
    let mut body = say("hello again");
    body["sessionId"] = json!("once");
    let headers = [("idempotency-key", "k1")];
    let ask = async |body: &Value| {
        let text = body.to_string();
        world.call_with("POST", "/v1/chat", &text, &headers).await
    };
    let first = ask(&body).await.is(200).json();
    let second = ask(&body).await.is(200).json();
    assert_eq!(first, second);
    let mut events = world.stream("/v1/chat", &body, &headers).await.rest().await;
    // Another way to be told is no other request.
    let last = events.pop().unwrap();
    assert_eq!(last.data["turnId"], first["turnId"]);
    let listed = world.get("/v1/sessions/once/messages").await.json();
    assert_eq!(listed["messages"].as_array().unwrap().len(), 2);
    let other = ask(&say("something else")).await;
    other.problem(422, Code::IdempotencyMismatch);
    // While the first is in progress a repetition is told so, whichever way it wants to hear of it.
    let mut body = say("wait");
    body["sessionId"] = json!("twice");
    let first = world.both("/v1/chat", &body, "k2").await.is(200).json();
    assert_eq!(first["message"]["content"], "first second");
    let headers = [("idempotency-key", "k3")];
    let mut events = world.stream("/v1/chat", &body, &headers).await;
    let started = events.next().await.unwrap();
    let text = body.to_string();
    let busy = world.call_with("POST", "/v1/chat/stream", &text, &headers);
    busy.await.problem(422, Code::IdempotencyMismatch);
    let busy = world.call_with("POST", "/v1/chat", &text, &headers).await;
    let problem = busy.problem(409, Code::IdempotencyBusy);
    let turn = started.data["turnId"].as_str().unwrap();
    assert!(problem["detail"].as_str().unwrap().contains(turn));
    world.gate.add_permits(1);
    let all = events.rest().await;
    let mut again = world.stream("/v1/chat", &body, &headers).await;
    assert_eq!(again.next().await.unwrap(), started);
    assert_eq!(again.rest().await, all);
    let listed = world.get("/v1/sessions/twice/messages").await.json();
    assert_eq!(listed["messages"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn sessions_are_made_named_listed_changed_reset_and_removed() {
    let world = world().await;
    let made = json!({"agent": "helper", "id": "u:1", "thinking": "low"});
    let session = world
        .post("/v1/sessions", made.clone())
        .await
        .is(201)
        .json();
    assert_eq!(session["id"], "u:1");
    assert_eq!(session["thinking"], "low");
    let taken = world.post("/v1/sessions", made).await;
    taken.problem(409, Code::SessionExists);
    let mut body = say("hello");
    body["sessionId"] = json!("u:1");
    let said = world.post("/v1/chat", body).await.is(200).json();
    let shown = world.get("/v1/sessions/u:1").await.is(200).json();
    assert_eq!(
        (&shown["turns"], &shown["messages"]),
        (&json!(1), &json!(2))
    );
    let listed = world.get("/v1/sessions?agent=helper").await.is(200).json();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
    // A key that may write sessions and read none: what it does not name stays.
    let (_, writer) = world.key("default", "developer", &["sessions:write"]).await;
    let thinks = json!({"thinking": "high"});
    let set = world.as_key(&writer, "PATCH", "/v1/sessions/u:1", thinks);
    set.await.is(200);
    let tools = json!({"tools": {"deny": ["files"]}});
    let set = world.as_key(&writer, "PATCH", "/v1/sessions/u:1", tools);
    let set = set.await.is(200).json();
    assert_eq!(set["thinking"], "high");
    let changed = world.call("PATCH", "/v1/sessions/u:1", r#"{"thinking": ""}"#);
    assert_eq!(changed.await.is(200).json()["thinking"], "");
    let reset = world.post("/v1/sessions/u:1/reset", json!({"summarize": true}));
    let reset = reset.await.is(200).json();
    assert_eq!(reset["seenFrom"], 2);
    assert_eq!(reset["summary"], "what was said");
    // All doors to what was said: open before, shut after.
    let turn = said["turnId"].as_str().unwrap();
    let doors = [
        format!("/v1/turns/{turn}"),
        format!("/v1/turns/{turn}/events"),
        format!("/v1/messages/{turn}"),
        format!("/v1/messages/{turn}/trace"),
        "/v1/conversations/u:1".to_owned(),
    ];
    for door in &doors {
        world.get(door).await.is(200);
    }
    world.call("DELETE", "/v1/sessions/u:1", "").await.is(204);
    for door in &doors {
        world.get(door).await.is(404);
    }
    let all = world.get("/v1/messages?conversationId=u:1").await;
    assert_eq!(all.is(200).json()["messages"], json!([]));
    let all = world.get("/v1/messages").await.is(200).text;
    assert!(!all.contains("hello"), "{all}");
    for (method, path) in [
        ("GET", "/v1/sessions/u:1"),
        ("DELETE", "/v1/sessions/u:1"),
        ("GET", "/v1/sessions/u:1/messages"),
        ("POST", "/v1/sessions/u:1/reset"),
        ("GET", "/v1/sessions/..%2F"),
    ] {
        let missing = world.call(method, path, "").await;
        missing.problem(404, Code::SessionNotFound);
    }
}

#[tokio::test]
async fn a_silent_stream_beats_and_a_revoked_key_ends_it() {
    let beat = std::time::Duration::from_millis(20);
    let world = World::with(|options| options.rest.heartbeat = beat).await;
    assistant(&world, "helper").await;
    let (id, key) = world.key("default", "developer", &[]).await;
    let headers = [
        ("accept", "text/event-stream"),
        ("x-api-key", &key),
        ("authorization", ""),
    ];
    let mut events = world.stream("/v1/chat", &say("silent"), &headers).await;
    assert_eq!(events.next().await.unwrap().name, "turn.started");
    assert_eq!(events.raw().await, ": heartbeat\n\n");
    world
        .call("DELETE", &format!("/v1/keys/{id}"), "")
        .await
        .is(204);
    let last = events.rest().await.pop().unwrap();
    assert_eq!(last.name, "error");
    assert_eq!(last.data["code"], Code::Unauthenticated.as_str());
}
