//! Agents and assistants together: agents as tools, agents that ask assistants, handovers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::model::{ChatMessage, ChatRole, Part};
use caxton_core::session::{ClientSide, Say, TurnEvent};
use caxton_core::{Acl, Performative};
use caxton_engine::port::NativeRuntime;
use caxton_engine::port::store::{MessageFilter, PageRequest};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use support::*;

/// Agents that answer, refuse, and say nothing.
fn cast() -> NativeRuntime {
    let runtime = native(
        NativeRuntime::default(),
        "adder",
        |mut host, message| async move {
            let sum = message.acl.text().unwrap().split('+');
            let sum: u32 = sum.map(|it| it.trim().parse::<u32>().unwrap()).sum();
            let answer = message
                .acl
                .reply(Performative::Inform)
                .content(sum.to_string());
            host.send(answer).unwrap();
            (host, Ok(()))
        },
    );
    let runtime = native(runtime, "proud", |mut host, message| async move {
        let answer = message.acl.reply(Performative::Refuse).content("not today");
        host.send(answer).unwrap();
        (host, Ok(()))
    });
    let runtime = native(runtime, "mute", |host, _| async move { (host, Ok(())) });
    // Asks the assistant `a` what it is asked itself, and passes on what that says.
    native(runtime, "asker", |mut host, message| async move {
        if message.acl.performative == Performative::Request {
            let acl = Acl::new(Performative::Request)
                .to(agent("a"))
                .content(message.acl.content.clone());
            let answer = host.call(acl, Duration::from_secs(4)).await.unwrap();
            let said = format!(
                "{}: {}",
                answer.acl.performative,
                answer.acl.text().unwrap()
            );
            host.send(message.acl.reply(Performative::Inform).content(said))
                .unwrap();
        }
        (host, Ok(()))
    })
}

#[tokio::test(start_paused = true)]
async fn an_assistant_asks_agents_and_makes_the_best_of_what_they_say() {
    let world = World::with(cast(), |asked| {
        if has_results(asked) {
            return vec![text("so be it")];
        }
        let ask = |id: &str, who: &str, what: &str| {
            call(id, &format!("ask_{who}"), json!({"message": what}))
        };
        vec![
            text("let me ask"),
            ask("1", "adder", "1 + 2"),
            ask("2", "proud", "please"),
            ask("3", "mute", "hello?"),
            ask("4", "nobody", "hello?"),
        ]
    })
    .await;
    for name in ["adder", "proud", "mute"] {
        world.native(name).await;
    }
    let allow = ["adder", "proud", "mute", "nobody"]
        .map(|it| format!("\"agent:{it}\""))
        .join(", ");
    let limits = "[limits]\nwait_timeout_ms_max = 60000\n";
    world
        .assistant(
            "a",
            &format!("turn_timeout_ms_max = 5000\n[tools]\nallow = [{allow}]\n{limits}"),
        )
        .await;
    let told = world.chat("a", "s", "add").await;
    let told = words(&told);
    assert_eq!(
        told[..6],
        [
            "a begins",
            "says let me ask",
            "calls ask_adder",
            "calls ask_proud",
            "calls ask_mute",
            "calls ask_nobody"
        ]
    );
    assert_eq!(told[6], "result 3");
    assert_eq!(told[7], "bad result refuse: not today");
    // It waits for the mute one as long as the turn has time, and then there is none.
    assert!(told[8].starts_with("bad result CX-3006"), "{}", told[8]);
    assert_eq!(told[10], "failed CX-7026");
    let roles: Vec<ChatRole> = world
        .entries("s")
        .await
        .iter()
        .map(|it| it.message.role)
        .collect();
    assert_eq!(roles, [ChatRole::User, ChatRole::Assistant, ChatRole::User]);
}

#[tokio::test(start_paused = true)]
async fn an_agent_asks_an_assistant_and_all_of_it_is_one_trace() {
    let world = World::with(cast(), |asked| match has_results(asked) {
        true => vec![text("it is 3")],
        false => vec![call("1", "ask_adder", json!({"message": newest(asked)}))],
    })
    .await;
    world.native("adder").await;
    world.native("asker").await;
    world
        .assistant("a", "[tools]\nallow = [\"agent:adder\"]\n")
        .await;
    let answer = world.say(Performative::Request, "asker", "1+2").await;
    assert_eq!(answer.acl.text(), Some("inform: it is 3"));
    let page = PageRequest::first(100);
    let all = world
        .app
        .message_list(&ctx(), &MessageFilter::default(), &page)
        .await
        .unwrap();
    let traces: std::collections::HashSet<_> = all
        .rows
        .iter()
        .map(|it| it.message.trace.trace_id)
        .collect();
    assert_eq!((all.rows.len(), traces.len()), (6, 1));
}

fn hand_over(to: &str, note: &str) -> Play {
    call("h", "hand_over", json!({"to": to, "note": note}))
}

#[tokio::test(start_paused = true)]
async fn a_conversation_is_handed_over_with_all_that_was_said() {
    let world = World::new(
        |asked| match (asked.model.as_str(), newest(asked).as_str()) {
            ("front", said) if said.contains("refund") => {
                vec![text("One moment."), hand_over("billing", "wants a refund")]
            }
            ("billing", said) if said.contains("back") => vec![hand_over("front", "")],
            (name, _) => vec![text(&format!("{name} here"))],
        },
    )
    .await;
    world.assistant("front", "handover = [\"billing\"]\n").await;
    world.assistant("billing", "handover = [\"front\"]\n").await;
    assert_eq!(
        answer(&world.chat("front", "s", "hello").await),
        "front here"
    );
    let told = world.chat("front", "s", "a refund, please").await;
    assert_eq!(
        words(&told),
        [
            "front begins",
            "says One moment.",
            "calls hand_over",
            "front to billing",
            "says \n\nbilling here",
            "completed End"
        ]
    );
    assert_eq!(answer(&told), "One moment.\n\nbilling here");
    let Some(TurnEvent::Completed(outcome)) = told.last() else {
        panic!("{told:?}");
    };
    assert_eq!(outcome.agent, "billing");
    // Whoever goes on sees all of it, and the note.
    let asked = world.last_request();
    assert_eq!(asked.system, "You are billing.");
    let said: Vec<String> = asked.messages.iter().map(ChatMessage::text).collect();
    assert_eq!(
        said[..4],
        ["hello", "front here", "a refund, please", "One moment."]
    );
    assert!(
        said[4].contains("`front`") && said[4].contains("wants a refund"),
        "{said:?}"
    );
    let session = world.session("s").await;
    assert_eq!(
        (session.agent.as_str(), session.answers.as_str()),
        ("front", "billing")
    );
    assert_eq!((session.turns, session.entries), (2, 6));
    // The next message is the other's, by whichever name the session is called.
    assert_eq!(
        answer(&world.chat("front", "s", "thanks").await),
        "billing here"
    );
    assert_eq!(
        answer(&world.chat("billing", "s", "thanks").await),
        "billing here"
    );
    assert_eq!(
        answer(&world.chat("front", "s", "back, please").await),
        "front here"
    );
    assert_eq!(world.session("s").await.answers.as_str(), "front");
    let by: Vec<Option<String>> = world
        .entries("s")
        .await
        .iter()
        .map(|it| it.agent.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(by[4].as_deref(), Some("front"), "the note is the front's");
    assert_eq!(by[5].as_deref(), Some("billing"));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_an_assistant_that_hands_over_is_passed_on() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let waits = Arc::clone(&gate);
    let world = World::new(
        move |asked| match (asked.model.as_str(), newest(asked).as_str()) {
            // Until the second message waits.
            ("front", _) => vec![Play::Until(Arc::clone(&waits)), hand_over("billing", "")],
            (name, said) => vec![text(&format!("{name} heard {said}"))],
        },
    )
    .await;
    world.assistant("front", "handover = [\"billing\"]\n").await;
    world.assistant("billing", "").await;
    let first = world.start("front", "s", "one").await;
    let second = world.start("front", "s", "two").await;
    gate.notify_one();
    let (first, second) = tokio::join!(events(first), events(second));
    assert!(answer(&first).starts_with("billing heard"));
    assert_eq!(answer(&second), "billing heard two");
    assert_eq!(words(&second)[0], "front begins");
    let session = world.session("s").await;
    assert_eq!((session.turns, session.entries), (2, 5));
}

#[tokio::test(start_paused = true)]
async fn a_conversation_goes_through_so_many_hands_and_no_more() {
    let world = World::new(|asked| {
        let other = if asked.model == "a" { "b" } else { "a" };
        match has_results(asked) {
            true => vec![text("then I answer")],
            false => vec![hand_over(other, "yours")],
        }
    })
    .await;
    world.assistant("a", "handover = [\"b\"]\n").await;
    world.assistant("b", "handover = [\"a\"]\n").await;
    let told = world.chat("a", "s", "hello").await;
    let hands = told
        .iter()
        .filter(|it| matches!(it, TurnEvent::HandedOver { .. }))
        .count();
    assert_eq!(hands, 8);
    assert_eq!(answer(&told), "then I answer");
}

#[tokio::test(start_paused = true)]
async fn a_passing_message_is_handed_over_with_the_clients_history() {
    let world = World::new(|asked| match asked.model.as_str() {
        "front" => vec![text("One moment."), hand_over("billing", "a refund")],
        _ => vec![text("Done.")],
    })
    .await;
    world.assistant("front", "handover = [\"billing\"]\n").await;
    world.assistant("billing", "").await;
    let say = Say {
        parts: vec![Part::text("my refund?")],
        passing: true,
        client: Some(ClientSide {
            history: vec![ChatMessage::user("hi"), ChatMessage::assistant("hello")],
            ..ClientSide::default()
        }),
        ..Say::default()
    };
    let told = events(world.start_say("front", "s", say).await.unwrap()).await;
    assert_eq!(answer(&told), "One moment.\n\nDone.");
    let said: Vec<String> = world
        .last_request()
        .messages
        .iter()
        .map(ChatMessage::text)
        .collect();
    assert_eq!(said[..4], ["hi", "hello", "my refund?", "One moment."]);
    assert!(said[4].contains("a refund"));
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_an_agent_comes_from_whoever_it_was_handed_to() {
    let world = World::with(cast(), |asked| match asked.model.as_str() {
        "a" => vec![hand_over("b", "")],
        _ => vec![text("b answers")],
    })
    .await;
    world.assistant("a", "handover = [\"b\"]\n").await;
    world.assistant("b", "").await;
    world.native("asker").await;
    let answer = world.say(Performative::Request, "asker", "who?").await;
    assert_eq!(answer.acl.text(), Some("inform: b answers"));
}
