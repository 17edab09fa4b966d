//! Agents and assistants together: agents as tools, agents that ask assistants, handovers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::grant::Role;
use caxton_core::model::{ChatMessage, ChatRole, Part};
use caxton_core::session::{ASK_LANGUAGE, ClientSide, Say, TurnEvent};
use caxton_core::{Acl, AgentName, ConversationId, Performative, TenantId};
use caxton_engine::OpCtx;
use caxton_engine::directory::KeyDraft;
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
    // What both took.
    assert_eq!((outcome.calls, outcome.usage.total()), (2, 2 * 110));
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

#[tokio::test(start_paused = true)]
async fn nobody_is_handed_over_to_whoever_does_not_run() {
    let world = World::new(
        |asked| match (asked.model.as_str(), asked.request.tools.is_empty()) {
            ("front", false) => vec![hand_over("billing", "a refund")],
            (name, _) => vec![text(&format!("{name} here"))],
        },
    )
    .await;
    world.assistant("front", "handover = [\"billing\"]\n").await;
    world.assistant("billing", "").await;
    let billing = AgentName::parse("billing").unwrap();
    world.app.agent_stop(&ctx(), &billing).await.unwrap();
    let told = world.chat("front", "s", "hello").await;
    assert_eq!(answer(&told), "front here");
    assert_eq!(world.last_request().tools, []);
    assert_eq!(world.session("s").await.answers.as_str(), "front");
    world.app.agent_start(&ctx(), &billing).await.unwrap();
    let told = world.chat("front", "s", "hello").await;
    assert_eq!(answer(&told), "billing here");
}

#[tokio::test(start_paused = true)]
async fn turns_end_with_the_assistant_that_nobody_has_any_more() {
    let world = World::new(|_| vec![Play::Hang]).await;
    world.assistant("a", "").await;
    let handled = world.start("a", "s", "hello").await;
    let waiting = world.start("a", "s", "are you there?").await;
    let say = Say {
        parts: vec![Part::text("hi")],
        passing: true,
        ..Say::default()
    };
    let passing = world.start_say("a", "t", say).await.unwrap();
    while world.asked() < 2 {
        tokio::task::yield_now().await;
    }
    let ids = [handled.turn().id(), waiting.turn().id()];
    let a = AgentName::parse("a").unwrap();
    world.app.agent_remove(&ctx(), &a).await.unwrap();
    let (handled, waiting, passing) =
        tokio::join!(events(handled), events(waiting), events(passing));
    for told in [handled, waiting, passing] {
        let told = words(&told);
        assert!(
            told.last().unwrap().starts_with("failed CX-300"),
            "{told:?}"
        );
    }
    for id in ids {
        let record = world.app.turn_show(&ctx(), id).await.unwrap();
        assert!(record.ended.is_some(), "{record:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_key_has_an_assistant_do_counts_for_the_key_by_whichever_door() {
    let world = World::new(|asked| match (asked.model.as_str(), has_results(asked)) {
        ("a", false) => vec![call("1", "ask_b", json!({"message": "hi"}))],
        _ => vec![text("done")],
    })
    .await;
    world
        .assistant("a", "[tools]\nallow = [\"agent:b\"]\n")
        .await;
    world.assistant("b", "").await;
    let draft = KeyDraft {
        name: "k".to_owned(),
        role: Role::Developer,
        scopes: Vec::new(),
        expires: None,
        platform: false,
    };
    let (key, text) = world.app.key_create(&ctx(), draft).await.unwrap();
    let identity = world.app.identify_key(&text.expose()).await.unwrap();
    let by_key = OpCtx {
        principal: identity.principal,
        ..ctx()
    };
    let asked = Acl::new(Performative::Request)
        .to(agent("a"))
        .content("go on");
    let wait = Some(Duration::from_secs(60));
    let sent = world.app.message_send(&by_key, asked, wait).await.unwrap();
    assert_eq!(sent.reply.unwrap().acl.text(), Some("done"));
    let page = PageRequest::first(10);
    let ledger = world
        .app
        .model_call_list(&ctx(), None, &page)
        .await
        .unwrap();
    // Two of the one that was asked, and one of the one that it asked.
    let whose: Vec<_> = ledger.rows.iter().map(|it| it.key.clone()).collect();
    assert_eq!(whose, vec![Some(format!("key:{}", key.id)); 3]);
    let tenant = TenantId::default_tenant();
    let usage = world.app.usage_show(&ctx(), &tenant, &key.id).await;
    let total: u64 = ledger.rows.iter().map(|it| it.tokens.total()).sum();
    assert_eq!(usage.unwrap().0.tokens.month, total);
}

#[tokio::test(start_paused = true)]
async fn an_agent_does_not_speak_for_whoever_may_change_sessions() {
    let runtime = native(
        NativeRuntime::default(),
        "thief",
        |mut host, message| async move {
            let mut acl = Acl::new(Performative::Request)
                .to(agent("a"))
                .content("{\"ask\":\"remove\"}");
            acl.language = Some(ASK_LANGUAGE.to_owned());
            acl.conversation_id = Some(ConversationId::parse("s").unwrap());
            let sent = host.send(acl.clone()).unwrap_err();
            let called = host.call(acl, Duration::ZERO).await.unwrap_err();
            let said = format!("{} {}", sent.code, called.code);
            let answer = message.acl.reply(Performative::Inform).content(said);
            host.send(answer).unwrap();
            (host, Ok(()))
        },
    );
    let world = World::with(runtime, |_| vec![text("hi")]).await;
    world.assistant("a", "").await;
    world.native("thief").await;
    world.chat("a", "s", "keep this").await;
    let answer = world.say(Performative::Request, "thief", "go").await;
    assert_eq!(answer.acl.text(), Some("CX-4003 CX-4003"));
    assert_eq!(world.session("s").await.turns, 1);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_waits_for_its_assistant_is_cancelled_at_once() {
    let world = World::new(|asked| match newest(asked).as_str() {
        "hello" => vec![Play::Hang],
        _ => vec![text("here I am")],
    })
    .await;
    world.assistant("a", "").await;
    let follow = world.start("a", "s", "hello").await;
    let id = follow.turn().id();
    while world.asked() < 1 {
        tokio::task::yield_now().await;
    }
    let a = AgentName::parse("a").unwrap();
    world.app.agent_stop(&ctx(), &a).await.unwrap();
    world.app.turn_cancel(&ctx(), id).await.unwrap();
    assert_eq!(
        words(&events(follow).await).last().unwrap(),
        "failed CX-7023"
    );
    // What waited is not asked again.
    world.app.agent_start(&ctx(), &a).await.unwrap();
    let told = world.chat("a", "s", "and now?").await;
    assert_eq!(answer(&told), "here I am");
    assert_eq!(world.asked(), 2);
}
