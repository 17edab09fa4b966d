//! Conversations and dead letters.

use caxton_core::Code;
use serde_json::{Value, json};

use crate::support::{World, request};

#[tokio::test]
async fn conversations_are_listed_and_shown() {
    let world = World::new().await;
    world.deploy("a", "echo", "").await;
    world.deploy("b", "deaf", "").await;
    for (to, id, protocol) in [
        ("a", "done", "fipa-request"),
        ("b", "open", "fipa-request"),
        ("b", "free", ""),
    ] {
        let mut body = request(to, "x");
        body["conversationId"] = json!(id);
        if !protocol.is_empty() {
            body["protocol"] = json!(protocol);
        }
        let wait = if to == "a" { "?wait=20s" } else { "" };
        world.post(&format!("/v1/messages{wait}"), body).await;
    }
    let shown = world.get("/v1/conversations/done").await.is(200).json();
    assert_eq!(shown["state"], "completed");
    assert_eq!(shown["protocol"], "fipa-request");
    assert_eq!(shown["initiator"], "admin@default");
    assert_eq!(shown["participants"], json!(["admin@default", "a@default"]));
    assert_eq!(shown["messagesTotal"], "2");
    let ids = async |query: &str| {
        let page = world
            .get(&format!("/v1/conversations?{query}"))
            .await
            .is(200)
            .json();
        let all = page["conversations"].as_array().unwrap().clone();
        let ids: Vec<_> = all
            .iter()
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect();
        ids.join(" ")
    };
    assert_eq!(ids("").await, "free open done");
    assert_eq!(ids("state=active").await, "free open");
    assert_eq!(ids("agent=a").await, "done");
    assert_eq!(ids("agent=b&state=completed").await, "");
    assert_eq!(ids("pageSize=1").await, "free");
    world
        .get("/v1/conversations?state=asleep")
        .await
        .problem(400, Code::ParameterMalformed);
    world
        .get("/v1/conversations?pageToken=00")
        .await
        .problem(400, Code::ParameterMalformed);
    world
        .get("/v1/conversations/none")
        .await
        .problem(404, Code::ConversationNotFound);
}

#[tokio::test]
async fn a_dead_letter_is_shown_resent_and_removed() {
    let world = World::new().await;
    let once = "[delivery]\nattempts_max = 1";
    world.deploy("a", "broken", once).await;
    world.deploy("b", "broken", once).await;
    let message = world.say("a", "x").await;
    let other = world.say("b", "y").await;
    let two = |it: &Value| it["deadLetters"].as_array().unwrap().len() == 2;
    world.until("/v1/deadLetters", two).await;
    let listed = world.get("/v1/deadLetters?agent=a").await.is(200).json();
    let letter = &listed["deadLetters"][0];
    assert_eq!(letter["id"], format!("{message}:a"));
    assert_eq!(
        (&letter["agent"], &letter["tenant"]),
        (&json!("a@default"), &json!("default"))
    );
    assert_eq!(
        (&letter["code"], &letter["attempts"]),
        (&json!("CX-3020"), &json!(1))
    );
    assert!(
        letter["reason"].as_str().unwrap().contains("it broke"),
        "{letter}"
    );
    assert_eq!(letter["message"]["content"], "x");
    let delivery = &letter["message"]["deliveries"][0];
    assert_eq!(
        (&delivery["state"], &delivery["errorCode"]),
        (&json!("dead"), &json!("CX-3020"))
    );
    let path = format!("/v1/deadLetters/{message}:a");
    assert_eq!(world.get(&path).await.is(200).json(), *letter);

    let mut mended = crate::support::agent("a", "echo", "");
    mended["manifest"] = json!("name = \"a\"");
    world
        .call("PUT", "/v1/agents/a", &mended.to_string())
        .await
        .is(200);
    let resent = world
        .call("POST", &format!("{path}/resend"), "")
        .await
        .is(202)
        .json();
    let id = resent["id"].as_str().unwrap();
    assert_ne!(id, message);
    let again = world.get(&format!("/v1/messages/{id}")).await.json();
    assert_eq!(
        (&again["parentId"], &again["content"]),
        (&json!(message), &json!("x"))
    );
    world
        .get(&path)
        .await
        .problem(404, Code::DeadLetterNotFound);

    let path = format!("/v1/deadLetters/{other}:b");
    world.call("DELETE", &path, "").await.is(204);
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/resend")),
    ] {
        let gone = world.call(method, &path, "").await;
        gone.problem(404, Code::DeadLetterNotFound);
    }
    world
        .get("/v1/deadLetters/x")
        .await
        .problem(400, Code::IdMalformed);
}
