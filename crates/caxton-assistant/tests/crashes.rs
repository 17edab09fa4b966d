//! A server that ends in the middle of a turn: what comes after it is told once, asked once, and honest.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::Performative;
use caxton_core::session::TurnEvent;
use caxton_engine::port::NativeRuntime;
use caxton_engine::port::store::PageRequest;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::*;

/// How often an agent was asked.
fn counting() -> (NativeRuntime, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let runtime = native(
        NativeRuntime::default(),
        "adder",
        move |mut host, message| {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                host.send(message.acl.reply(Performative::Inform).content("3"))
                    .unwrap();
                (host, Ok(()))
            }
        },
    );
    (runtime, asked)
}

#[tokio::test(start_paused = true)]
async fn a_crash_amid_an_answer_ends_the_turn_honestly_and_asks_nobody_twice() {
    let mut world = World::new(|call| match newest(call).as_str() {
        "long" => vec![text("once upon"), Play::Hang],
        _ => vec![text("well")],
    })
    .await;
    world.assistant("a", "").await;
    let follow = world.start("a", "s", "long").await;
    let id = follow.turn().id();
    // Long enough for what was said to be written down.
    world.pass(Duration::from_secs(3)).await;
    assert_eq!(world.asked(), 1);
    world.crash().await;
    let told = world.follow(id).await;
    assert_eq!(
        words(&told),
        ["a begins", "says once upon", "failed CX-7024"]
    );
    assert_eq!(world.asked(), 1);
    let entries = world.entries("s").await;
    assert_eq!(entries[1].message.text(), "once upon");
    assert!(entries[1].broken);
    // What was said is in the books, and in what the turn says it took.
    let page = PageRequest::first(9);
    let calls = world.app.model_call_list(&ctx(), None, &page).await;
    let tokens = calls.unwrap().rows[0].tokens;
    assert_eq!((tokens.output, tokens.estimated), (3, true));
    let Some(TurnEvent::Failed(failure)) = told.last() else {
        panic!("{told:?}");
    };
    assert_eq!(failure.usage, tokens);
    assert_eq!(answer(&world.chat("a", "s", "go on").await), "well");
    assert_eq!(world.last_request().messages.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_a_tool_goes_on_from_there() {
    let (runtime, agent_asked) = counting();
    let mut world = World::with(runtime, move |asked| match has_results(asked) {
        // The first time nothing comes, and the server ends.
        true if asked.attempt == 1 && !asked.key.contains("again") => vec![Play::Hang],
        true => vec![text("it is 3")],
        false => vec![
            text("let me see"),
            call("1", "ask_adder", json!({"message": "1+2"})),
        ],
    })
    .await;
    world.native("adder").await;
    world
        .assistant("a", "[tools]\nallow = [\"agent:adder\"]\n")
        .await;
    let follow = world.start("a", "s", "add").await;
    let id = follow.turn().id();
    world.pass(Duration::from_secs(3)).await;
    assert_eq!((world.asked(), agent_asked.load(Ordering::SeqCst)), (2, 1));
    world.crash().await;
    world.pass(Duration::from_secs(3)).await;
    // The first answer and the agent's are replayed; the second, of which nobody saw anything, is asked
    // for anew.
    assert_eq!((world.asked(), agent_asked.load(Ordering::SeqCst)), (3, 1));
    let record = world.app.turn_show(&ctx(), id).await.unwrap();
    assert_eq!(record.state.as_str(), "running");
    world.app.turn_cancel(&ctx(), id).await.unwrap();
    let told = world.follow(id).await;
    assert_eq!(
        words(&told),
        [
            "a begins",
            "says let me see",
            "calls ask_adder",
            "result 3",
            "failed CX-7023"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_nobody_heard_before_a_crash_is_told_after_it() {
    let (runtime, _) = counting();
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let mut world = World::with(runtime, move |asked| match has_results(asked) {
        true if count.fetch_add(1, Ordering::SeqCst) == 0 => vec![Play::Hang],
        true => vec![text("it is 3")],
        false => vec![
            text("let me see"),
            call("1", "ask_adder", json!({"message": "1+2"})),
        ],
    })
    .await;
    world.native("adder").await;
    world
        .assistant("a", "[tools]\nallow = [\"agent:adder\"]\n")
        .await;
    let follow = world.start("a", "s", "add").await;
    let id = follow.turn().id();
    // Not long enough for what was said to be written down.
    world.pass(Duration::from_millis(300)).await;
    assert_eq!(answered.load(Ordering::SeqCst), 1);
    world.crash().await;
    let told = world.follow(id).await;
    assert_eq!(
        words(&told),
        [
            "a begins",
            "says let me see",
            "calls ask_adder",
            "result 3",
            "says \n\nit is 3",
            "completed End"
        ]
    );
    assert_eq!(answer(&told), "let me see\n\nit is 3");
    // Of two tries and the one that was broken off, each was accounted once.
    let session = world.session("s").await;
    let Some(TurnEvent::Completed(outcome)) = told.last() else {
        panic!("{told:?}");
    };
    assert_eq!(session.usage, outcome.usage);
    assert_eq!((session.turns, session.entries), (1, 4));
}
