//! Calls that wait, between agents.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use caxton_core::{Code, Message, Performative};
use caxton_engine::Options;
use caxton_engine::host::Host;
use caxton_engine::port::Clock as _;
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
    world_with(Options::default()).await
}

async fn world_with(options: Options) -> World {
    let cast = Cast::default()
        .with("echo", echo)
        .with("relay", relay)
        .with("deaf", |host, _| async move { (host, Ok(())) });
    let world = World::with_options(cast, options).await;
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

#[tokio::test(start_paused = true)]
async fn of_two_that_wait_with_one_token_the_one_that_asked_the_sender_is_answered() {
    let world = world().await;
    let ask = |to, content| {
        let mut question = request(to, content);
        question.reply_with = Some("same".to_owned());
        world.ask(question)
    };
    // The first is answered last: its receiver asks another.
    let (late, prompt) = tokio::join!(ask("r1", "echo late"), ask("echo", "prompt"));
    assert_eq!(late.unwrap().acl.text(), Some("inform: late"));
    assert_eq!(prompt.unwrap().acl.text(), Some("prompt"));
}

/// Asks through a chain of calls where there may be only so many instances.
async fn ask_with(instances_max: usize, content: &str) -> (World, String) {
    let world = world_with(Options {
        mailboxes_live_max: instances_max,
        ..Options::default()
    })
    .await;
    let began = world.clock.now();
    let reply = world.ask(request("r1", content)).await.unwrap();
    let took = world.clock.now().since(began);
    assert!(took < Duration::from_secs(1), "{content}: {took:?}");
    (world, reply.acl.text().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_call_that_would_leave_no_instance_to_answer_it_is_refused_at_once() {
    let refused = Code::CallersTooMany.as_str();
    assert_eq!(ask_with(1, "echo hi").await.1, refused);
    assert_eq!(ask_with(2, "echo hi").await.1, "inform: hi");
    // The one in the middle finds that nobody would be left, and says so to the one that waits.
    let (world, answer) = ask_with(2, "r2 echo hi").await;
    assert_eq!(answer, format!("inform: {refused}"));
    assert_eq!(ask_with(3, "r2 echo hi").await.1, "inform: inform: hi");
    // Whoever has its answer makes room for the next.
    let reply = world.ask(request("r3", "echo hi")).await.unwrap();
    assert_eq!(reply.acl.text(), Some("inform: hi"));
}

#[tokio::test(start_paused = true)]
async fn many_callers_at_once_all_come_to_an_end() {
    let (world, _) = ask_with(3, "echo hi").await;
    let ask = |to| world.ask(request(to, "r2 echo hi"));
    let (one, two, three) = tokio::join!(ask("r1"), ask("r2"), ask("r3"));
    for reply in [one, two, three] {
        let text = reply.unwrap().acl.text().unwrap().to_owned();
        let known = [
            "inform: inform: hi".to_owned(),
            Code::CallersTooMany.to_string(),
            format!("inform: {}", Code::CallersTooMany),
            Code::CallCircle.to_string(),
            format!("inform: {}", Code::CallCircle),
        ];
        assert!(known.contains(&text), "{text}");
    }
}
