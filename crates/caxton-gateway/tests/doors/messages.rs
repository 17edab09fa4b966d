//! Messages: sent, waited for, refused, read back.

use caxton_core::Code;
use serde_json::{Value, json};

use crate::support::{World, request};

#[tokio::test]
async fn a_message_is_accepted_and_read_back() {
    let world = World::new().await;
    world.deploy("a", "deaf", "").await;
    let body = json!({
        "performative": "REQUEST", "receiver": [{"name": "a"}], "contentBase64": "/w==",
        "language": "l", "encoding": "e", "ontology": "o", "protocol": "fipa-request",
        "conversationId": "c", "replyWith": "w", "inReplyTo": "i",
        "replyTo": [{"name": "r@default", "addresses": ["http://r"]}],
        "replyBy": "2030-01-01T01:00:00+01:00", "userParameters": {"X-a": "1"},
    });
    let accepted = world.post("/v1/messages", body).await.is(202).json();
    assert_eq!(accepted["reply"], Value::Null);
    let id = accepted["id"].as_str().unwrap();
    let path = format!("/v1/messages/{id}");
    let shown = world
        .until(&path, |it| it["deliveries"][0]["state"] == "handled")
        .await;
    let expected = json!({
        "id": id, "tenant": "default", "performative": "request", "contentBase64": "/w==",
        "sender": {"name": "admin@default", "addresses": [], "resolvers": []},
        "receiver": [{"name": "a@default", "addresses": [], "resolvers": []}],
        "replyTo": [{"name": "r@default", "addresses": ["http://r"], "resolvers": []}],
        "language": "l", "encoding": "e", "ontology": "o", "protocol": "fipa-request",
        "conversationId": "c", "replyWith": "w", "inReplyTo": "i",
        "replyBy": "2030-01-01T00:00:00Z", "userParameters": {"X-a": "1"}, "hop": 0,
        "deliveries": [{"agent": "a@default", "mailbox": "", "state": "handled", "attempts": 0}],
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(shown[field], *value, "{field}");
    }
    world
        .get("/v1/messages/00000000-0000-0000-0000-000000000000")
        .await
        .problem(404, Code::MessageNotFound);
    world
        .get("/v1/messages/x")
        .await
        .problem(400, Code::IdMalformed);
}

#[tokio::test]
async fn a_reply_is_waited_for() {
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    let body = request("a", "hi ä");
    let answer = world
        .post("/v1/messages?wait=20s", body)
        .await
        .is(200)
        .json();
    let reply = &answer["reply"];
    assert_eq!(
        (&reply["performative"], &reply["content"]),
        (&json!("inform"), &json!("hi ä"))
    );
    assert_eq!(reply["sender"]["name"], "a@default");
    assert_eq!(reply["parentId"], answer["id"]);
    assert_eq!(reply["hop"], 1);
}

#[tokio::test]
async fn without_a_reply_in_time_the_id_is_the_answer() {
    let world = World::new().await;
    world.deploy("a", "deaf", "").await;
    let path = "/v1/messages?wait=20ms";
    let answer = world.post(path, request("a", "x")).await.is(202).json();
    assert_eq!(answer["reply"], Value::Null);
    let id = answer["id"].as_str().unwrap();
    world.get(&format!("/v1/messages/{id}")).await.is(200);
    for wait in ["soon", "5", "-1s", "11m"] {
        let answer = world
            .post(&format!("/v1/messages?wait={wait}"), request("a", "x"))
            .await;
        let problem = answer.problem(400, Code::ParameterMalformed);
        assert_eq!(problem["fields"][0]["field"], "wait");
    }
}

#[tokio::test]
async fn a_full_mailbox_and_a_stranger_are_refused() {
    let world = World::new().await;
    world
        .deploy("slow", "stuck", "[limits]\nmailbox_messages_max = 1")
        .await;
    let mut refused = None;
    for _ in 0..5 {
        let answer = world.post("/v1/messages", request("slow", "x")).await;
        if answer.status != 202 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem(429, Code::MailboxFull);
    let unknown = world.post("/v1/messages", request("nobody", "x")).await;
    unknown.problem(404, Code::ReceiverUnknown);
    let elsewhere = world.post("/v1/messages", request("a@other", "x")).await;
    elsewhere.problem(404, Code::ReceiverUnknown);
    world.gate.add_permits(10);
}

#[tokio::test]
async fn a_body_that_is_no_message_is_refused_with_the_place() {
    let world = World::new().await;
    world.deploy("a", "deaf", "").await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let check = async |body: &str, code: Code, says: &str| {
        let answer = world.call("POST", "/v1/messages", body).await;
        let problem = answer.problem(400, code);
        assert!(problem.to_string().contains(says), "{body}: {problem}");
    };
    check("{", Code::JsonMalformed, "body").await;
    check("", Code::JsonMalformed, "no body").await;
    check("[]", Code::JsonMalformed, "a list").await;
    check("null", Code::JsonMalformed, "null").await;
    check(&deep, Code::JsonMalformed, "nest").await;
    check(
        r#"{"performative":"x","performative":"y"}"#,
        Code::JsonMalformed,
        "second time",
    )
    .await;
    check(r#"{"content":"\ud800"}"#, Code::JsonMalformed, "surrogate").await;
    check(
        r#"{"performative":"request","reciever":[]}"#,
        Code::FieldUnknown,
        "`receiver`",
    )
    .await;
    check(
        r#"{"receiver":[{"name":"a"}]}"#,
        Code::MessageMalformed,
        "performative",
    )
    .await;
    check(
        r#"{"performative":"reqest","receiver":[{"name":"a"}]}"#,
        Code::PerformativeUnknown,
        "`request`",
    )
    .await;
    check(
        r#"{"performative":"inform"}"#,
        Code::MessageMalformed,
        "receiver",
    )
    .await;
    check(
        r#"{"performative":"inform","receiver":[{"name":"../a"}]}"#,
        Code::AgentNameMalformed,
        "receiver[0].name",
    )
    .await;
    check(
        r#"{"performative":"inform","receiver":[{"name":"a"}],"replyBy":"soon"}"#,
        Code::ParameterMalformed,
        "RFC 3339",
    )
    .await;
    check(
        r#"{"performative":"inform","receiver":[{"name":"a"}],"userParameters":{"a":"1"}}"#,
        Code::MessageMalformed,
        "X-",
    )
    .await;
    check(
        r#"{"performative":"inform","receiver":[{"name":"a"}],"content":"a","contentBase64":"YQ=="}"#,
        Code::ParameterMalformed,
        "exclude",
    )
    .await;
    let headers = [("content-type", "text/plain")];
    let body = request("a", "x").to_string();
    let form = world
        .call_with("POST", "/v1/messages", &body, &headers)
        .await;
    form.problem(415, Code::ParameterMalformed);
    let list = world.get("/v1/messages").await.json();
    assert_eq!(list["messages"], json!([]), "nothing of it was sent");
}

#[tokio::test]
async fn a_list_is_by_conversation_or_agent() {
    let world = World::new().await;
    world.deploy("a", "deaf", "").await;
    world.deploy("b", "deaf", "").await;
    for (to, conversation, content) in [("a", "c", "1"), ("b", "c", "2"), ("a", "d", "3")] {
        let mut body = request(to, content);
        body["conversationId"] = json!(conversation);
        world.post("/v1/messages", body).await.is(202);
    }
    let contents = async |query: &str| {
        let page = world
            .get(&format!("/v1/messages?{query}"))
            .await
            .is(200)
            .json();
        let messages = page["messages"].as_array().unwrap();
        let contents = messages.iter().map(|it| it["content"].as_str().unwrap());
        contents.collect::<String>()
    };
    assert_eq!(contents("").await, "321", "the newest first");
    assert_eq!(contents("conversationId=c").await, "12", "in order");
    assert_eq!(
        contents("conversation_id=c").await,
        "12",
        "by the proto file's name"
    );
    assert_eq!(contents("agent=a").await, "31");
    assert_eq!(contents("agent=a&conversationId=c").await, "1");
    let page = world.get("/v1/messages?pageSize=2").await.json();
    let token = page["nextPageToken"].as_str().unwrap();
    assert_eq!(
        contents(&format!("pageSize=2&pageToken={token}")).await,
        "1"
    );
    let other = format!("/v1/messages?agent=a&pageToken={token}");
    world
        .get(&other)
        .await
        .problem(400, Code::ParameterMalformed);
    let unknown = world.get("/v1/messages?agnet=a").await;
    let problem = unknown.problem(400, Code::FieldUnknown);
    assert!(
        problem["detail"].as_str().unwrap().contains("`agent`"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_trace_goes_through_every_message_it_causes() {
    let world = World::new().await;
    world.deploy("echo", "echo", "").await;
    world.deploy("relay", "relay", "").await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [("traceparent", traceparent.as_str())];
    let body = request("relay", "x").to_string();
    let path = "/v1/messages?wait=20s";
    let sent = world.call_with("POST", path, &body, &headers).await.is(200);
    let span = sent
        .header("traceparent")
        .split('-')
        .nth(2)
        .unwrap()
        .to_owned();
    assert_ne!(span, "00f067aa0ba902b7", "the server has a span of its own");
    let sent = sent.json();
    assert_eq!(sent["reply"]["traceId"], trace);
    let path = format!(
        "/v1/messages/{}/trace",
        sent["reply"]["id"].as_str().unwrap()
    );
    let tree = world.get(&path).await.is(200).json();
    assert_eq!(
        (&tree["traceId"], &tree["truncated"]),
        (&json!(trace), &json!(false))
    );
    let steps: Vec<_> = tree["steps"].as_array().unwrap().iter().collect();
    let shape: Vec<_> = steps
        .iter()
        .map(|step| {
            (
                step["depth"].as_u64().unwrap(),
                step["message"]["sender"]["name"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shape,
        [
            (0, "admin@default"),
            (1, "relay@default"),
            (2, "echo@default")
        ]
    );
    assert_eq!(steps[0]["message"]["id"], sent["id"]);
    assert_eq!(steps[0]["message"]["spanId"], span);
}

#[tokio::test]
async fn the_admin_may_name_another_sender_of_the_tenant() {
    let world = World::new().await;
    world.deploy("a", "deaf", "").await;
    let mut body = request("a", "x");
    body["sender"] = json!({"name": "someone"});
    let sent = world
        .post("/v1/messages", body.clone())
        .await
        .is(202)
        .json();
    let path = format!("/v1/messages/{}", sent["id"].as_str().unwrap());
    let shown = world.get(&path).await.json();
    assert_eq!(shown["sender"]["name"], "someone@default");
    body["sender"] = json!({"name": "someone@other"});
    let refused = world.post("/v1/messages", body).await;
    refused.problem(403, Code::PermissionDenied);
}
