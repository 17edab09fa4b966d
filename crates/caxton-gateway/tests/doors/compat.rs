//! The doors for clients made for others, on the wire: what no client shows, and what all of them
//! rely on. The clients themselves are in `clients.rs`.

use caxton_core::error::Code;
use serde_json::{Value, json};

use crate::chat::{assistant, world};
use crate::support::{Event, KEY, World};

fn completion(said: &str) -> Value {
    json!({"model": "helper", "messages": [{"role": "user", "content": said}]})
}

fn message(said: &str) -> Value {
    let mut body = completion(said);
    body["max_tokens"] = json!(100);
    body
}

fn response(said: &str) -> Value {
    json!({"model": "helper", "input": said})
}

pub fn stream(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body
}

/// A path, and the body that says something there.
pub type Door = (&'static str, fn(&str) -> Value);

pub const DOORS: [Door; 5] = [
    ("/openai/v1/chat/completions", completion),
    ("/v1/chat/completions", completion),
    ("/openai/v1/responses", response),
    ("/v1/responses", response),
    ("/anthropic/v1/messages", message),
];

/// The text of a stream in any dialect.
pub fn text(events: &[Event]) -> String {
    let delta = |event: &Event| {
        let data = &event.data;
        let found = [
            &data["choices"][0]["delta"]["content"],
            &data["delta"]["text"],
            &data["delta"],
        ];
        found
            .into_iter()
            .find_map(|it| it.as_str().map(str::to_owned))
    };
    events.iter().filter_map(delta).collect()
}

async fn told(world: &World, path: &str, body: &Value, headers: &[(&str, &str)]) -> Vec<Event> {
    world.stream(path, body, headers).await.rest().await
}

#[tokio::test]
async fn every_door_goes_on_exactly_behind_any_event() {
    let world = world().await;
    for (path, body) in DOORS {
        let body = stream(body("count 5"));
        let all = told(&world, path, &body, &[]).await;
        assert_eq!(text(&all), "1 2 3 4 5 ", "{path}");
        for at in 0..all.len() {
            let headers = [("last-event-id", all[at].id.as_str())];
            let rest = told(&world, path, &body, &headers).await;
            assert_eq!(rest, all[at + 1..], "{path} after {at}");
        }
        // Behind one that never was, nothing goes on: neither that of a turn that is over nor of one
        // that is not.
        let (turn, last) = all.last().unwrap().id.rsplit_once('.').unwrap();
        let never = format!("{turn}.{}", last.parse::<usize>().unwrap() + 1);
        let mut events = world.stream(path, &stream(self::wait(path)), &[]).await;
        let first = events.next().await.unwrap().id;
        let (turn, _) = first.rsplit_once('.').unwrap();
        for never in [never, format!("{turn}.1000")] {
            let headers = [("last-event-id", never.as_str())];
            let text = body.to_string();
            let refused = world.call_with("POST", path, &text, &headers).await;
            let told = refused.is(404).json();
            assert_eq!(told["error"]["code"], "CX-6007", "{path}");
        }
        world.gate.add_permits(1);
        events.rest().await;
    }
}

#[tokio::test]
async fn a_stream_that_broke_goes_on_with_the_turn_it_was_of() {
    let world = world().await;
    for (path, body) in DOORS {
        let body = stream(body("wait"));
        let mut events = world.stream(path, &body, &[]).await;
        let mut seen = Vec::new();
        while !text(&seen).starts_with("first") {
            seen.push(events.next().await.unwrap());
        }
        drop(events);
        world.gate.add_permits(1);
        let last = seen.last().unwrap().id.clone();
        let headers = [("last-event-id", last.as_str())];
        seen.extend(told(&world, path, &body, &headers).await);
        assert_eq!(text(&seen), "first second", "{path}");
    }
}

#[tokio::test]
async fn errors_have_the_providers_envelope_with_our_ids() {
    let world = world().await;
    let failures = [
        (
            Code::ModelRateLimited,
            429,
            "rate_limit_error",
            "rate_limit_error",
        ),
        (
            Code::ModelUnavailable,
            503,
            "server_error",
            "overloaded_error",
        ),
        (
            Code::ContextTooLong,
            400,
            "invalid_request_error",
            "invalid_request_error",
        ),
    ];
    for (path, body) in DOORS {
        let anthropic = path.starts_with("/anthropic");
        let check = |reply: crate::support::Reply, status: u16, code: Code, kinds: [&str; 2]| {
            let request_id = reply.header("x-request-id").to_owned();
            let told = reply.is(status).json();
            assert_eq!(told["error"]["code"], code.as_str(), "{path}: {told}");
            let trace = told["error"]["trace_id"].as_str().unwrap();
            assert_eq!(trace.len(), 32, "{path}");
            let kind = kinds[usize::from(anthropic)];
            assert_eq!(told["error"]["type"], kind, "{path}");
            if anthropic {
                assert_eq!(told["type"], "error");
                assert_eq!(told["request_id"], request_id);
            }
        };
        for (code, status, openai, kind) in failures {
            let said = body(&format!("fail {code}"));
            for body in [said.clone(), stream(said)] {
                let reply = world.post(path, body).await;
                check(reply, status, code, [openai, kind]);
            }
        }
        let invalid = ["invalid_request_error"; 2];
        let reply = world.call("POST", path, "{").await;
        check(reply, 400, Code::JsonMalformed, invalid);
        let reply = world.call("POST", path, "{}").await;
        check(reply, 400, Code::ParameterMalformed, invalid);
        let (mut none, mut named, mut twice) = (body("hi"), body("hi"), body("hi"));
        for name in ["max_tokens", "max_completion_tokens", "max_output_tokens"] {
            none[name] = json!(0);
        }
        let tool = |name: &str| {
            // Each door takes its own of these.
            json!({"type": if anthropic { "custom" } else { "function" }, "name": name,
                "function": {"name": name}})
        };
        named["tools"] = json!([tool("not a name")]);
        twice["tools"] = json!([tool("twice"), tool("twice")]);
        for malformed in [none, named, twice] {
            let reply = world.post(path, malformed).await;
            check(reply, 400, Code::ParameterMalformed, invalid);
        }
        let mut other = body("hi");
        other["model"] = json!("gpt-4.1");
        let told = world.post(path, other.clone()).await.is(404).json();
        let message = told["error"]["message"].as_str().unwrap();
        let models = if anthropic {
            "/anthropic/v1/models"
        } else {
            "/openai/v1/models"
        };
        assert!(message.contains("name of an assistant"), "{message}");
        assert!(message.contains(models), "{message}");
        let kinds = ["invalid_request_error", "not_found_error"];
        check(
            world.post(path, other).await,
            404,
            Code::AgentNotFound,
            kinds,
        );
        let no_key = [("authorization", "")];
        let reply = world.call_with("POST", path, "{}", &no_key).await;
        check(
            reply,
            401,
            Code::Unauthenticated,
            ["authentication_error"; 2],
        );
        let (_, viewer) = world.key("default", "viewer", &[]).await;
        let reply = world.as_key(&viewer, "POST", path, body("hi")).await;
        check(reply, 403, Code::PermissionDenied, ["permission_error"; 2]);
        let reply = world.call("PUT", path, "").await;
        check(reply, 405, Code::MethodUnknown, invalid);
        let nothing = format!("{path}/nothing/here");
        if !nothing.starts_with("/v1/chat") {
            check(world.get(&nothing).await, 404, Code::RouteUnknown, kinds);
        }
    }
}

#[tokio::test]
async fn a_failure_after_the_first_word_is_an_event() {
    let world = world().await;
    for (path, body) in DOORS {
        let events = told(&world, path, &stream(body("break CX-7010")), &[]).await;
        assert!(text(&events).starts_with("half "), "{path}");
        let last = events.last().unwrap().data.to_string();
        assert!(last.contains("CX-7010"), "{path}: {last}");
    }
}

#[tokio::test]
async fn rates_limits_and_repetitions_are_as_at_other_doors() {
    let world = world().await;
    for (path, body) in DOORS {
        let headers = [("idempotency-key", path)];
        let text = body("hello").to_string();
        let first = world.call_with("POST", path, &text, &headers).await;
        let first = first.is(200).json();
        let second = world.call_with("POST", path, &text, &headers).await;
        assert_eq!(second.is(200).json(), first, "{path}");
        let other = body("other").to_string();
        let other = world.call_with("POST", path, &other, &headers).await;
        let told = other.is(422).json();
        assert_eq!(told["error"]["code"], "CX-1030");
    }
    world.tenant("acme").await;
    let (_, key) = world.key("acme", "developer", &[]).await;
    let rates = json!({"tenant": {"count": "1", "seconds": "3600"}}).to_string();
    let set = world.call("PUT", "/v1/tenants/acme/limits", &rates).await;
    set.is(200);
    let path = "/openai/v1/models";
    world.as_key(&key, "GET", path, Value::Null).await.is(200);
    let limited = world.as_key(&key, "GET", path, Value::Null).await.is(429);
    assert!(!limited.header("retry-after").is_empty());
    assert_eq!(limited.json()["error"]["type"], "rate_limit_error");
    let path = "/v1/requests?operation=openai.v1/CreateChatCompletion";
    let noted = |it: &Value| it["requests"].as_array().is_some_and(|it| !it.is_empty());
    world.until(path, noted).await;
}

/// What waits for the gate at a door.
fn wait(path: &str) -> Value {
    let door = DOORS.iter().find(|(door, _)| *door == path);
    door.unwrap().1("wait")
}

#[tokio::test]
async fn a_repetition_is_answered_as_the_first_was_after_a_restart_too() {
    let mut world = world().await;
    let mut first = Vec::new();
    for (path, _) in DOORS {
        let answer = world.both(path, &wait(path), path).await.is(200).json();
        first.push(answer);
    }
    // What failed did nothing, and may be tried again.
    let (path, body) = DOORS[0];
    for said in ["fail CX-7007", "hello"] {
        let text = body(said).to_string();
        let headers = [("idempotency-key", "failed")];
        let reply = world.call_with("POST", path, &text, &headers).await;
        let status = if said == "hello" { 200 } else { 429 };
        reply.is(status);
    }
    let other = world.again().await;
    world.stop();
    for ((path, _), first) in DOORS.iter().zip(first) {
        let text = wait(path).to_string();
        let headers = [("idempotency-key", *path)];
        let again = other.call_with("POST", path, &text, &headers).await;
        assert_eq!(again.header("content-type"), "application/json");
        assert_eq!(again.is(200).json(), first, "{path}");
    }
}

#[tokio::test]
async fn a_stream_is_repeated_once_it_is_over() {
    let world = world().await;
    for (path, _) in DOORS {
        let body = stream(wait(path));
        let headers = [("idempotency-key", path)];
        let mut events = world.stream(path, &body, &headers).await;
        let mut all = vec![events.next().await.unwrap()];
        let busy = body.to_string();
        let busy = world.call_with("POST", path, &busy, &headers).await;
        assert_eq!(busy.is(409).json()["error"]["code"], "CX-1031");
        world.gate.add_permits(1);
        all.extend(events.rest().await);
        let again = told(&world, path, &body, &headers).await;
        assert_eq!(again, all, "{path}");
    }
}

/// What is answered has the fields that the OpenAPI document names, and no others at its top.
#[tokio::test]
async fn answers_are_as_the_document_says() {
    let world = world().await;
    let document = world.get("/openapi.json").await.is(200).json();
    let of = |method: &str, path: &str, kind: &str| {
        let content = document["paths"][path][method]["responses"][kind]["content"].clone();
        let name = content["application/json"]["schema"]["$ref"].clone();
        let name = name
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        document["components"]["schemas"][name].clone()
    };
    let check = |schema: &Value, answer: &Value| {
        let fields = answer.as_object().unwrap();
        for needed in schema["required"].as_array().unwrap() {
            assert!(
                fields.contains_key(needed.as_str().unwrap()),
                "{needed}: {answer}"
            );
        }
        let known = schema["properties"].as_object().unwrap();
        let unknown: Vec<_> = fields
            .keys()
            .filter(|it| !known.contains_key(*it))
            .collect();
        (unknown.is_empty(), format!("{unknown:?}: {answer}"))
    };
    for (path, body) in DOORS {
        let answer = world.post(path, body("hello")).await.is(200).json();
        check(&of("post", path, "200"), &answer);
        let refused = world.post(path, json!({})).await.is(400).json();
        let (whole, told) = check(&of("post", path, "default"), &refused);
        assert!(whole, "{told}");
        if path.ends_with("responses") {
            let one = format!("{path}/{}", answer["id"].as_str().unwrap());
            let kept = world.get(&one).await.is(200).json();
            let shape = format!("{path}/{{response}}");
            check(&of("get", &shape, "200"), &kept);
            let gone = world.call("DELETE", &one, "").await.is(200).json();
            assert!(check(&of("delete", &shape, "200"), &gone).0, "{gone}");
        }
    }
    for root in ["/openai/v1", "/v1", "/anthropic/v1"] {
        let path = format!("{root}/models");
        let list = world.get(&path).await.is(200).json();
        let (whole, told) = check(&of("get", &path, "200"), &list);
        assert!(whole, "{told}");
        let one = world.get(&format!("{path}/helper")).await.is(200).json();
        let (whole, told) = check(&of("get", &format!("{path}/{{model}}"), "200"), &one);
        assert!(whole, "{told}");
        check(
            &of("get", &path, "default"),
            &world.get(&format!("{path}/none")).await.json(),
        );
    }
    let path = "/anthropic/v1/messages/count_tokens";
    let counted = world.post(path, message("hello")).await.is(200).json();
    assert!(check(&of("post", path, "200"), &counted).0, "{counted}");
}

#[tokio::test]
async fn a_model_is_asked_straight_by_who_may() {
    let world = world().await;
    for (path, body) in DOORS {
        let mut body = body("hello parrot");
        body["model"] = json!("demo/any");
        let answer = world.post(path, body.clone()).await.is(200).text;
        assert!(answer.contains("hello parrot"), "{path}: {answer}");
        let events = told(&world, path, &stream(body.clone()), &[]).await;
        assert_eq!(text(&events), "hello parrot", "{path}");
        let (_, key) = world.key("default", "developer", &["sessions:*"]).await;
        let refused = world.as_key(&key, "POST", path, body.clone()).await.is(403);
        assert_eq!(refused.json()["error"]["code"], "CX-4003");
        body["model"] = json!("nowhere/any");
        let missing = world.post(path, body).await.is(404).json();
        assert_eq!(missing["error"]["code"], Code::ProviderNotFound.as_str());
    }
}

#[tokio::test]
async fn responses_go_on_from_one_another_and_are_forgotten() {
    let world = world().await;
    assistant(&world, "other").await;
    let path = "/openai/v1/responses";
    let first = world.post(path, response("one")).await.is(200).json();
    let mut body = response("recall");
    body["previous_response_id"] = first["id"].clone();
    body["instructions"] = json!("be brief");
    let second = world.post(path, body.clone()).await.is(200).json();
    assert_eq!(
        second["output"][0]["content"][0]["text"],
        "system=be brief history=one|one"
    );
    // From a stream, whose last event comes when it is kept.
    let events = told(&world, path, &stream(body.clone()), &[]).await;
    let streamed = &events.last().unwrap().data["response"];
    body["previous_response_id"] = streamed["id"].clone();
    let third = world.post(path, body.clone()).await.is(200).json();
    let said = third["output"][0]["content"][0]["text"].as_str().unwrap();
    assert!(said.contains("one|one|recall|system=be brief"), "{said}");
    let shown = format!("{path}/{}", first["id"].as_str().unwrap());
    assert_eq!(world.get(&shown).await.is(200).json(), first);
    world.tenant("acme").await;
    let (_, key) = world.key("acme", "developer", &[]).await;
    world.as_key(&key, "GET", &shown, Value::Null).await.is(404);
    let turn = first["id"].as_str().unwrap().trim_start_matches("resp_");
    let turn = format!("/v1/turns/{turn}");
    world.get(&turn).await.is(200);
    let deleted = world.call("DELETE", &shown, "").await.is(200).json();
    assert_eq!(deleted["deleted"], true);
    world.get(&shown).await.is(404);
    world.get(&turn).await.is(404);
    world.call("DELETE", &shown, "").await.is(404);
    let gone = world.post(path, body).await.is(404).json();
    assert_eq!(gone["error"]["code"], Code::TurnNotFound.as_str());
    let mut passing = response("two");
    passing["store"] = json!(false);
    let passing = world.post(path, passing).await.is(200).json();
    let shown = format!("{path}/{}", passing["id"].as_str().unwrap());
    world.get(&shown).await.is(404);
}

#[tokio::test]
async fn models_are_the_tenants_assistants() {
    let world = world().await;
    world.deploy("native", "echo", "").await;
    for root in ["/openai/v1", "/v1"] {
        let listed = world.get(&format!("{root}/models")).await.is(200).json();
        assert_eq!(listed["object"], "list");
        assert_eq!(listed["data"].as_array().unwrap().len(), 1);
        assert_eq!(listed["data"][0]["id"], "helper");
        let shown = world.get(&format!("{root}/models/helper")).await.is(200);
        assert_eq!(shown.json(), listed["data"][0]);
        world.get(&format!("{root}/models/native")).await.is(404);
        world.get(&format!("{root}/models/GPT")).await.is(404);
    }
    let listed = world.get("/anthropic/v1/models").await.is(200);
    assert!(!listed.header("request-id").is_empty());
    let listed = listed.json();
    assert_eq!(listed["data"][0]["id"], "helper");
    assert_eq!(listed["data"][0]["type"], "model");
    for name in ["another", "zeta"] {
        assistant(&world, name).await;
    }
    let page = async |query: &str| {
        let path = format!("/anthropic/v1/models?{query}");
        let page = world.get(&path).await.is(200).json();
        let ids = page["data"].as_array().unwrap().iter();
        let ids: Vec<String> = ids
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect();
        (ids.join(" "), page["has_more"].as_bool().unwrap())
    };
    assert_eq!(page("limit=2").await, ("another helper".to_owned(), true));
    assert_eq!(
        page("limit=2&after_id=helper").await,
        ("zeta".to_owned(), false)
    );
    assert_eq!(
        page("limit=1&before_id=zeta").await,
        ("helper".to_owned(), true)
    );
    assert_eq!(page("after_id=nobody").await, (String::new(), false));
    let refused = world
        .get("/anthropic/v1/models?limit=0")
        .await
        .is(400)
        .json();
    assert_eq!(refused["error"]["code"], Code::ParameterMalformed.as_str());
    let counted = world.post(
        "/anthropic/v1/messages/count_tokens",
        completion("four words are here"),
    );
    let counted = counted.await.is(200).json();
    assert_eq!(counted["input_tokens"], 9);
    let mut nobodys = completion("four words are here");
    nobodys["model"] = json!("nobody");
    let path = "/anthropic/v1/messages/count_tokens";
    world.post(path, nobodys).await.is(404);
}

#[tokio::test]
async fn both_headers_of_a_key_are_read() {
    let world = world().await;
    let body = message("hi").to_string();
    for headers in [
        [("authorization", ""), ("x-api-key", KEY)],
        [("x-api-key", ""), ("accept", "*/*")],
    ] {
        let reply = world.call_with("POST", "/anthropic/v1/messages", &body, &headers);
        assert_eq!(reply.await.is(200).json()["content"][0]["text"], "hi");
    }
}
