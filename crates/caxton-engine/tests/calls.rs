//! Calls that wait, between agents.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use caxton_core::{Code, Message, Performative};
use caxton_engine::host::Host;
use std::sync::Arc;
use std::time::Duration;
use support::*;

/// `call NAME`: calls NAME with the rest of the path and answers with what came of it.
async fn relay(mut host: Host, message: Arc<Message>) -> Handled {
    if message.acl.performative != Performative::Request {
        return (host, Ok(()));
    }
    let text = message.acl.text().unwrap().to_owned();
    let (next, rest) = text.split_once(' ').unwrap_or((&text, ""));
    let content = match host.call(request(next, rest), Duration::from_secs(5)).await {
        Ok(answer) => format!(
            "{}: {}",
            answer.acl.performative,
            answer.acl.text().unwrap()
        ),
        Err(error) => error.code.to_string(),
    };
    host.send(message.acl.reply(Performative::Inform).content(content))
        .unwrap();
    (host, Ok(()))
}

async fn world() -> World {
    let cast = Cast::default()
        .with("echo", echo)
        .with("relay", relay)
        .with("deaf", |host, _| async move { (host, Ok(())) });
    let world = World::new(cast).await;
    world.deploy("echo", "echo").await;
    world.deploy("deaf", "deaf").await;
    for relay in ["r1", "r2", "r3"] {
        world.deploy(relay, "relay").await;
    }
    world
}

async fn check(content: &str, expected: &str) {
    let world = world().await;
    let reply = world.ask(request("r1", content)).await.unwrap();
    assert_eq!(reply.acl.text(), Some(expected), "{content}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_back_through_a_chain() {
    check("echo hi", "inform: hi").await;
    check("r2 r3 echo hi", "inform: inform: inform: hi").await;
}

#[tokio::test(start_paused = true)]
async fn what_can_go_wrong_is_a_value() {
    check("nobody hi", Code::ReceiverUnknown.as_str()).await;
    check("deaf hi", Code::CallTimeout.as_str()).await;
    check("r1 hi", Code::CallCircle.as_str()).await;
    check("r2 r1 hi", &format!("inform: {}", Code::CallCircle)).await;
}

#[tokio::test(start_paused = true)]
async fn agree_announces_an_answer_and_is_not_one() {
    let cast = Cast::default().with("polite", |mut host: Host, message: Arc<Message>| {
        host.send(message.acl.reply(Performative::Agree)).unwrap();
        host.send(message.acl.reply(Performative::Inform).content("done"))
            .unwrap();
        async move { (host, Ok(())) }
    });
    let world = World::new(cast).await;
    world.deploy("polite", "polite").await;
    assert_eq!(
        world.ask(request("polite", "x")).await.unwrap().acl.text(),
        Some("done")
    );
}

#[tokio::test(start_paused = true)]
async fn a_reply_without_in_reply_to_is_found_by_its_conversation() {
    let cast = Cast::default().with("sloppy", |mut host: Host, message: Arc<Message>| {
        let mut reply = message.acl.reply(Performative::Inform).content("here");
        reply.in_reply_to = None;
        host.send(reply).unwrap();
        async move { (host, Ok(())) }
    });
    let world = World::new(cast).await;
    world.deploy("sloppy", "sloppy").await;
    let mut question = request("sloppy", "x");
    question.conversation_id = caxton_core::ConversationId::parse("c1").ok();
    assert_eq!(world.ask(question).await.unwrap().acl.text(), Some("here"));
}
