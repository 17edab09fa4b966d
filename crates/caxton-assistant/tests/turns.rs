//! Turns on a whole engine: what whoever follows is told, what is kept, what the next turn sees.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::Performative;
use caxton_core::model::{ChatMessage, ChatRole, ModelFaultKind, Part, Thinking, ToolSpec};
use caxton_core::session::{ClientSide, Say, SessionId, TurnEvent};
use caxton_engine::port::NativeRuntime;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use support::*;

#[tokio::test(start_paused = true)]
async fn a_session_remembers_what_was_said() {
    let world = World::new(|call| {
        let n = call.request.messages.len();
        vec![text("answer "), text(&n.to_string())]
    })
    .await;
    world.assistant("a", "").await;
    let told = world.chat("a", "s1", "what is the time?").await;
    assert_eq!(words(&told), ["a begins", "says answer 1", "completed End"]);
    assert_eq!(answer(&told), "answer 1");
    assert_eq!(answer(&world.chat("a", "s1", "and now?").await), "answer 3");
    let asked = world.last_request();
    assert_eq!(asked.system, "You are a.");
    assert_eq!(
        asked.messages,
        [
            ChatMessage::user("what is the time?"),
            ChatMessage::assistant("answer 1"),
            ChatMessage::user("and now?"),
        ]
    );
    let session = world.session("s1").await;
    assert_eq!((session.turns, session.entries), (2, 4));
    assert_eq!(session.title, "what is the time?");
    assert_eq!(session.usage.total(), 220);
    let entries = world.entries("s1").await;
    let said: Vec<String> = entries.iter().map(|it| it.message.text()).collect();
    assert_eq!(
        said,
        ["what is the time?", "answer 1", "and now?", "answer 3"]
    );
    assert_eq!(entries[1].agent.as_ref().unwrap().as_str(), "a");
    assert!(entries.iter().all(|it| !it.broken));
    // Another session knows nothing of it.
    assert_eq!(answer(&world.chat("a", "s2", "hello").await), "answer 1");
}

#[tokio::test(start_paused = true)]
async fn turns_of_one_session_come_one_after_the_other() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let waits = Arc::clone(&gate);
    let world = World::new(move |call| match newest(call).as_str() {
        "0" => vec![Play::Until(Arc::clone(&waits)), text("to 0")],
        said => vec![text(&format!("to {said}"))],
    })
    .await;
    world.assistant("a", "").await;
    // The first holds the lane until all the others wait in it.
    let mut turns = Vec::new();
    for n in 0..8 {
        turns.push(world.start("a", "s", &n.to_string()).await);
    }
    gate.notify_one();
    for (n, turn) in (0..).zip(turns) {
        assert_eq!(answer(&events(turn).await), format!("to {n}"));
    }
    let said: Vec<String> = world
        .entries("s")
        .await
        .iter()
        .map(|it| it.message.text())
        .collect();
    let expected: Vec<String> = (0..8)
        .flat_map(|n| [n.to_string(), format!("to {n}")])
        .collect();
    assert_eq!(said, expected);
    assert_eq!(world.session("s").await.turns, 8);
}

#[tokio::test(start_paused = true)]
async fn what_thinks_is_heard_and_how_much_is_the_sessions() {
    let world = World::new(|_| vec![Play::Think("hm".into(), "sig".into()), text("so")]).await;
    world.assistant("a", "thinking = \"low\"\n").await;
    let told = world.chat("a", "s", "hi").await;
    assert_eq!(
        words(&told),
        [
            "a begins",
            "thinks hm",
            "signed sig",
            "says so",
            "completed End"
        ]
    );
    assert_eq!(world.last_request().thinking, Some(Thinking::Low));
    // What it may think with comes beside what it may answer with.
    assert_eq!(world.last_request().output_tokens_max, 4_096 + 4_096);
    let id = SessionId::parse("s").unwrap();
    let session = world
        .app
        .session_configure(&ctx(), &id, Some(Some(Thinking::High)), None)
        .await
        .unwrap();
    assert_eq!(session.thinking, Some(Thinking::High));
    world.chat("a", "s", "hi").await;
    assert_eq!(world.last_request().thinking, Some(Thinking::High));
    // Thoughts of a turn that is over do not go back, and are in the history.
    assert_eq!(
        world.last_request().messages[1],
        ChatMessage::assistant("so")
    );
    let say = Say {
        parts: vec![Part::text("hi")],
        thinking: Some(Thinking::Off),
        ..Say::default()
    };
    events(world.start_say("a", "s", say).await.unwrap()).await;
    assert_eq!(world.last_request().thinking, Some(Thinking::Off));
    assert_eq!(world.entries("s").await[1].message.parts.len(), 2);
}

/// What a provider does not show of what was thought goes back to it within the turn, and to a client
/// that calls tools itself.
#[tokio::test(start_paused = true)]
async fn what_is_thought_unseen_is_given_back_in_its_place() {
    let hidden = || Part::redacted_thinking("aGlkZGVu");
    let world = World::new(move |asked| match newest(asked).as_str() {
        "mine" if !has_results(asked) => vec![
            Play::Think("hm".into(), "sig".into()),
            Play::Other(hidden()),
            call_weather(),
        ],
        _ => vec![Play::Other(hidden()), text("so")],
    })
    .await;
    world.assistant("a", "").await;
    let mut say = Say {
        parts: vec![Part::text("mine")],
        passing: true,
        client: Some(ClientSide {
            tools: vec![ToolSpec::new("weather", "", json!({"type": "object"}))],
            form: Some(caxton_core::model::AnswerForm::default()),
            ..ClientSide::default()
        }),
        ..Say::default()
    };
    let follow = world.start_say("a", "x", say.clone()).await.unwrap();
    let told = words(&events(follow).await);
    assert_eq!(
        told[1..4],
        ["thinks hm", "signed sig", "thinks unseen aGlkZGVu"]
    );
    assert!(
        world.last_request().form.is_some(),
        "what form its answer is to have, too"
    );
    // The client gives all of it back with its tool's answer.
    let said = |role, parts| ChatMessage { role, parts };
    let thought = Part::Thinking {
        text: "hm".into(),
        signature: Some("sig".into()),
    };
    let arguments = json!({});
    let (id, name) = ("c".to_owned(), "weather".to_owned());
    let asked = Part::ToolCall {
        id,
        name,
        arguments,
    };
    let client = say.client.as_mut().unwrap();
    client.history = vec![
        ChatMessage::user("mine"),
        said(ChatRole::Assistant, vec![thought, hidden(), asked]),
    ];
    say.parts = vec![Part::ToolResult {
        id: "c".into(),
        parts: vec![Part::text("sun")],
        is_error: false,
    }];
    let follow = world.start_say("a", "y", say).await.unwrap();
    assert_eq!(answer(&events(follow).await), "so");
    let back = world.last_request().messages[1].parts.clone();
    assert_eq!(
        back.iter().filter_map(Part::redacted).count(),
        1,
        "{back:?}"
    );
    // Of a turn that is over it is left out, as all that was thought.
    world.chat("a", "s", "hello").await;
    world.chat("a", "s", "and again").await;
    let seen = world.last_request().messages;
    let hidden = seen
        .iter()
        .flat_map(|it| &it.parts)
        .filter_map(Part::redacted);
    assert_eq!(hidden.count(), 0, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fault_after_the_first_word_is_told_and_what_was_said_stands() {
    let world = World::new(|call| match newest(call).as_str() {
        "break" => vec![text("half an ans"), Play::Fault(ModelFaultKind::Cut)],
        _ => vec![text("well")],
    })
    .await;
    world.assistant("a", "").await;
    let told = world.chat("a", "s", "break").await;
    assert_eq!(
        words(&told),
        ["a begins", "says half an ans", "failed CX-7010"]
    );
    let entries = world.entries("s").await;
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|it| it.broken));
    assert_eq!(answer(&world.chat("a", "s", "again").await), "well");
    assert_eq!(
        world.last_request().messages[1],
        ChatMessage::assistant("half an ans")
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_turn_ends_at_once_and_the_session_goes_on() {
    let world = World::new(|call| match newest(call).as_str() {
        "long" => vec![text("once upon"), Play::Hang],
        _ => vec![text("well")],
    })
    .await;
    world.assistant("a", "").await;
    let mut follow = world.start("a", "s", "long").await;
    let mut heard = Vec::new();
    while !heard.iter().any(|it| matches!(it, TurnEvent::Text { .. })) {
        let batch = follow.next().await.unwrap();
        heard.extend(batch.iter().map(|(_, it)| (**it).clone()));
    }
    let id = follow.turn().id();
    world.app.turn_cancel(&ctx(), id).await.unwrap();
    heard.extend(events(follow).await);
    assert_eq!(
        words(&heard),
        ["a begins", "says once upon", "failed CX-7023"]
    );
    assert_eq!(answer(&world.chat("a", "s", "go on").await), "well");
    assert_eq!(world.entries("s").await[1].message.text(), "once upon");
}

#[tokio::test(start_paused = true)]
async fn a_turn_has_so_much_time() {
    let world = World::new(|_| vec![text("once upon"), Play::Hang]).await;
    world.assistant("a", "turn_timeout_ms_max = 2000\n").await;
    let begun = tokio::time::Instant::now();
    let told = world.chat("a", "s", "long").await;
    assert_eq!(
        words(&told),
        ["a begins", "says once upon", "failed CX-7026"]
    );
    assert_eq!(begun.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_long_session_is_summed_up_and_its_originals_stay() {
    let world = World::new(|call| match wants_summary(call) {
        true => vec![text("They counted.")],
        false => vec![text(&"word ".repeat(100))],
    })
    .await;
    world
        .assistant("a", "context_tokens_max = 3000\noutput_tokens_max = 500\n")
        .await;
    let mut summed = 0;
    for n in 1..=40 {
        let told = world
            .chat("a", "s", &format!("{n} {}", "x".repeat(400)))
            .await;
        assert!(
            matches!(told.last(), Some(TurnEvent::Completed(_))),
            "{n}: {told:?}"
        );
        summed += told
            .iter()
            .filter(|it| matches!(it, TurnEvent::Notice { .. }))
            .count();
        let asked = world.last_request();
        assert!(asked.tokens_estimate() <= 2_500, "{n}");
        assert!(
            asked
                .messages
                .last()
                .unwrap()
                .text()
                .starts_with(&format!("{n} "))
        );
    }
    assert!(summed > 2, "{summed}");
    let session = world.session("s").await;
    assert_eq!(session.summary.as_deref(), Some("They counted."));
    assert!(
        session.seen_from > 60 && session.entries == 80,
        "{session:?}"
    );
    assert_eq!(world.entries("s").await.len(), 80);
    assert!(world.last_request().system.ends_with("They counted."));
    let told = world.chat("a", "s", &"z".repeat(40_000)).await;
    assert_eq!(words(&told).last().unwrap(), "failed CX-7006");
}

#[tokio::test(start_paused = true)]
async fn a_reset_begins_anew_with_or_without_a_summary() {
    let world = World::new(|call| match wants_summary(call) {
        true => vec![text("They said hello.")],
        false => vec![text("well")],
    })
    .await;
    world.assistant("a", "").await;
    let id = SessionId::parse("s").unwrap();
    world.chat("a", "s", "hello").await;
    let session = world.app.session_reset(&ctx(), &id, false).await.unwrap();
    assert_eq!(
        (session.seen_from, session.entries, session.summary),
        (2, 2, None)
    );
    world.chat("a", "s", "who am I?").await;
    assert_eq!(
        world.last_request().messages,
        [ChatMessage::user("who am I?")]
    );
    let session = world.app.session_reset(&ctx(), &id, true).await.unwrap();
    assert_eq!(session.seen_from, 4);
    assert_eq!(session.summary.as_deref(), Some("They said hello."));
    assert_eq!(session.usage.total(), 330);
    assert_eq!(world.entries("s").await.len(), 4);
    world.chat("a", "s", "and now?").await;
    let asked = world.last_request();
    assert_eq!(asked.messages, [ChatMessage::user("and now?")]);
    assert!(asked.system.ends_with("They said hello."));
    world.app.session_remove(&ctx(), &id).await.unwrap();
    let gone = world.app.session_show(&ctx(), &id).await.unwrap_err();
    assert_eq!(gone.code.as_str(), "CX-7020");
}

#[tokio::test(start_paused = true)]
async fn a_clients_own_tools_and_history_are_the_clients() {
    let world = World::new(|call| match has_results(call) {
        true => vec![text("it rains")],
        false => vec![call_weather()],
    })
    .await;
    world.assistant("a", "").await;
    let client = |history: Vec<ChatMessage>| ClientSide {
        system: "Be short.".into(),
        history,
        tools: vec![ToolSpec::new(
            "weather",
            "Tells the weather.",
            json!({"type": "object"}),
        )],
        ..ClientSide::default()
    };
    let say = |client, part| Say {
        parts: vec![part],
        passing: true,
        client: Some(client),
        ..Say::default()
    };
    let first = say(client(vec![]), Part::text("weather?"));
    let told = events(world.start_say("a", "s", first).await.unwrap()).await;
    assert_eq!(
        words(&told),
        ["a begins", "calls weather", "completed ToolCalls"]
    );
    assert_eq!(world.last_request().system, "You are a.\n\nBe short.");
    let Some(TurnEvent::Completed(outcome)) = told.last() else {
        panic!("{told:?}");
    };
    let history = vec![
        ChatMessage::user("weather?"),
        ChatMessage {
            role: caxton_core::model::ChatRole::Assistant,
            parts: outcome.parts.clone(),
        },
    ];
    let result = Part::ToolResult {
        id: "w1".into(),
        parts: vec![Part::text("rain")],
        is_error: false,
    };
    let told = events(
        world
            .start_say("a", "s", say(client(history), result))
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(answer(&told), "it rains");
    let id = SessionId::parse("s").unwrap();
    assert!(world.app.session_show(&ctx(), &id).await.is_err());
}

fn call_weather() -> Play {
    call("w1", "weather", json!({"city": "Oslo"}))
}

#[tokio::test(start_paused = true)]
async fn messages_are_answered_as_fipa_has_it() {
    let runtime = native(
        NativeRuntime::default(),
        "teller",
        |mut host, message| async move {
            // Says whatever it hears to the assistant, as an inform that nobody asked for.
            let acl = caxton_core::Acl::new(Performative::Inform)
                .to(agent("a"))
                .content(message.acl.content.clone());
            host.send(acl).unwrap();
            (host, Ok(()))
        },
    );
    let world = World::with(runtime, |call| match newest(call).as_str() {
        "break" => vec![Play::Fault(ModelFaultKind::Invalid)],
        said => vec![text(&format!("you said {said}"))],
    })
    .await;
    world.assistant("a", "").await;
    world.native("teller").await;
    let check = async |act, content: &str, expected: (Performative, &str)| {
        let answer = world.say(act, "a", content).await;
        let said = (answer.acl.performative, answer.acl.text().unwrap());
        assert_eq!(said, expected);
    };
    use Performative as P;
    check(P::Request, "hi", (P::Inform, "you said hi")).await;
    check(P::QueryRef, "what?", (P::Inform, "you said what?")).await;
    check(P::Inform, "news", (P::Inform, "you said news")).await;
    check(
        P::Request,
        "break",
        (P::Failure, "CX-7005 as the test says"),
    )
    .await;
    let answer = world.say(P::Subscribe, "a", "x").await;
    assert_eq!(answer.acl.performative, P::NotUnderstood);
    let asked = world.asked();
    let acl = caxton_core::Acl::new(P::Request)
        .to(agent("teller"))
        .content("psst");
    world.app.message_send(&ctx(), acl, None).await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.asked(), asked, "an inform of an agent is no question");
}

#[tokio::test(start_paused = true)]
async fn scripts_are_read_before_an_assistant_is_deployed() {
    use caxton_engine::app::Package;
    let world = World::new(|_| vec![text("hi")]).await;
    let text = "name = \"a\"\nbehavior = \"assistant\"";
    let package = Package {
        manifest: caxton_core::Manifest::parse(text).unwrap(),
        component: Some("{oops".into()),
    };
    let refused = world.app.agent_deploy(&ctx(), package, true).await;
    assert_eq!(refused.unwrap_err().code.as_str(), "CX-7013");
    let wrong = world
        .try_assistant("b", "[tools]\nallow = [\"agent:b\"]\n")
        .await;
    assert_eq!(wrong.unwrap_err().code.as_str(), "CX-2001");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_fails_before_its_first_word_is_replaced_unseen() {
    let world = World::new(|call| match call.model.as_str() {
        "a" => vec![Play::Fault(ModelFaultKind::Overloaded)],
        "second" => vec![Play::Fault(ModelFaultKind::Auth)],
        _ => vec![text("from "), text(&call.model)],
    })
    .await;
    let fallbacks = "fallbacks = [\"scripted/second\", \"scripted/third\"]\n";
    world.assistant("a", fallbacks).await;
    let told = world.chat("a", "s", "hello").await;
    assert_eq!(
        words(&told),
        ["a begins", "says from third", "completed End"]
    );
    let Some(TurnEvent::Completed(outcome)) = told.last() else {
        panic!("{told:?}");
    };
    assert_eq!(outcome.model.as_str(), "scripted/third");
    let models: Vec<String> = {
        let asked = world.player.asked.lock();
        asked.iter().map(|call| call.model.clone()).collect()
    };
    assert_eq!(models, ["a", "second", "third"]);
    // In the ledger it is one call, under the model that answered.
    world.pass(Duration::from_secs(1)).await;
    let page = caxton_engine::port::store::PageRequest::first(10);
    let ledger = world.app.model_call_list(&ctx(), None, &page).await;
    let ledger = ledger.unwrap().rows;
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].asked.as_str(), "scripted/a");
    assert_eq!(ledger[0].model.as_str(), "scripted/third");
    assert_eq!(ledger[0].tries, 3);
}

#[tokio::test(start_paused = true)]
async fn a_new_prompt_and_model_count_from_the_next_turn() {
    let world = World::new(|call| {
        let system = call.request.system.clone();
        vec![text(&call.model), text(": "), text(&system)]
    })
    .await;
    world.assistant("a", "").await;
    let told = world.chat("a", "s", "hello").await;
    assert_eq!(answer(&told), "a: You are a.");
    let manifest = "name = \"a\"\nversion = \"2.0.0\"\nbehavior = \"assistant\"\n[assistant]\nmodel = \"scripted/other\"\nprompt = \"You are terse.\"\n";
    let package = caxton_engine::app::Package {
        manifest: caxton_core::Manifest::parse(manifest).unwrap(),
        component: None,
    };
    let updated = world
        .app
        .agent_update(&ctx(), &agent("a").name, package)
        .await;
    updated.unwrap();
    let told = world.chat("a", "s", "hello again").await;
    assert_eq!(answer(&told), "other: You are terse.");
    // The session goes on: what was said before is still there.
    assert_eq!(world.last_request().messages.len(), 3);
}

/// Deploys the assistant `a` of these models, or gives it others.
async fn with_models(world: &World, version: &str, models: &str) {
    let manifest = format!(
        "name = \"a\"\nversion = \"{version}\"\nbehavior = \"assistant\"\n[assistant]\n{models}\n"
    );
    let package = caxton_engine::app::Package {
        manifest: caxton_core::Manifest::parse(&manifest).unwrap(),
        component: None,
    };
    let deployed = match version {
        "1.0.0" => world.app.agent_deploy(&ctx(), package, true).await,
        _ => {
            let name = agent("a").name;
            world.app.agent_update(&ctx(), &name, package).await
        }
    };
    deployed.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_said_is_kept_where_no_model_is_reached() {
    let world =
        World::new(|call| vec![text(&format!("{} saw", call.request.messages.len()))]).await;
    with_models(&world, "1.0.0", "model = \"nope/nope\"").await;
    let told = world.chat("a", "s", "are you there?").await;
    assert_eq!(words(&told), ["a begins", "failed CX-7002"]);
    let session = world.session("s").await;
    assert_eq!((session.turns, session.entries), (1, 1));
    assert_eq!(session.title, "are you there?");
    let entries = world.entries("s").await;
    assert_eq!(entries[0].message, ChatMessage::user("are you there?"));
    assert!(entries[0].broken);
    assert_eq!(world.asked(), 0);
    // The next turn sees it.
    with_models(&world, "2.0.0", "model = \"scripted/there\"").await;
    let told = world.chat("a", "s", "and now?").await;
    assert_eq!(words(&told), ["a begins", "says 1 saw", "completed End"]);
    let seen = world.last_request().messages[0].text();
    assert!(
        seen.contains("are you there?") && seen.contains("and now?"),
        "{seen}"
    );
    let session = world.session("s").await;
    assert_eq!((session.turns, session.entries), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_not_there_is_passed_over_for_a_fallback() {
    let world = World::new(|call| vec![text(&call.model)]).await;
    let models = "model = \"nope/nope\"\nfallbacks = [\"scripted/second\"]";
    with_models(&world, "1.0.0", models).await;
    let told = world.chat("a", "s", "hello").await;
    assert_eq!(words(&told), ["a begins", "says second", "completed End"]);
    // A summary is made by whoever is there, too.
    let id = SessionId::parse("s").unwrap();
    world.app.session_reset(&ctx(), &id, true).await.unwrap();
    let session = world.session("s").await;
    assert_eq!(session.summary.as_deref(), Some("second"));
}
