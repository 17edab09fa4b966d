//! Tables: the events of a turn, and what the machine makes of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::bounds::{BAD_CALLS_MAX, CALLS_PER_STEP_MAX, SAME_CALLS_MAX};
use crate::context::Window;
use caxton_core::model::{Thinking, Tokens, ToolChoice, ToolSpec};
use caxton_core::session::{ClientSide, HANDS_MAX};
use caxton_core::tool::{Effect as Effects, Function, FunctionName, ToolId, ToolKind};
use caxton_engine::tools::OfferedTool;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_us(1_000);

fn model() -> ModelName {
    ModelName::parse("scripted/a").unwrap()
}

fn settings() -> Settings {
    Settings {
        agent: AgentName::parse("me").unwrap(),
        model: model(),
        window: Window::new(8_000, 500),
        thinking: Thinking::Off,
        temperature: None,
        top_p: None,
        stop: Vec::new(),
        tool_choice: ToolChoice::Auto,
        parallel_calls: None,
        extra: None,
        form: None,
        passing: false,
        hands: 0,
        steps_max: 16,
        tokens_max: 0,
        cost_micros_max: 0,
        timeout_ms_max: 1,
        deadline: Timestamp::from_us(2_000),
    }
}

fn toolbox() -> Toolbox {
    let counter = AgentName::parse("counter").unwrap();
    let offered = [OfferedTool {
        id: ToolId::Agent(counter),
        kind: ToolKind::Agent,
        function: Arc::new(Function {
            name: FunctionName::parse("counter").unwrap(),
            description: String::new(),
            input: json!({"type": "object"}),
            output: None,
            effect: Effects::Acts,
            repeatable: true,
        }),
    }];
    let client = ClientSide {
        tools: vec![ToolSpec::new("weather", "", json!({"type": "object"}))],
        ..ClientSide::default()
    };
    let handover = vec![AgentName::parse("other").unwrap()];
    Toolbox::new(&offered, handover, Some(&client))
}

fn context(seen: &[ChatMessage]) -> Context {
    let mut context = Context::new("Be kind.".into(), None, 10);
    context.seen = seen.to_vec();
    context.turn.push(ChatMessage::user("how are you?"));
    context
}

fn turn_with(settings: Settings, context: Context) -> Turn {
    Turn::new(settings, toolbox(), context)
}

fn turn() -> Turn {
    turn_with(settings(), context(&[]))
}

fn text(text: &str) -> Part {
    Part::text(text)
}

fn call(id: &str, name: &str, arguments: Value) -> Part {
    Part::ToolCall {
        id: id.into(),
        name: name.into(),
        arguments,
    }
}

fn came(results: Vec<Answered>) -> Event {
    Event::Results {
        results,
        waited: Duration::ZERO,
        spent: Spent::default(),
    }
}

fn spent() -> Spent {
    Spent {
        tokens: Tokens {
            input: 10,
            output: 5,
            ..Tokens::default()
        },
        cost_micros: 7,
        calls: 1,
    }
}

fn answered(parts: &[Part]) -> Event {
    let mut reply = ModelReply::default();
    reply.parts = parts.to_vec();
    reply.stop = Some(StopReason::End);
    Event::Answered {
        reply,
        model: model(),
        spent: spent(),
    }
}

fn broke(code: Code, parts: &[Part]) -> Event {
    let mut reply = ModelReply::default();
    reply.parts = parts.to_vec();
    Event::Broke {
        error: Error::new(code, "so"),
        reply,
        spent: spent(),
    }
}

/// The effects as words.
fn words(effects: &[Effect]) -> Vec<String> {
    let word = |effect: &Effect| match effect {
        Effect::Tell(TurnEvent::ToolCall { id, .. }) => format!("called {id}"),
        Effect::Tell(TurnEvent::ToolResult { id, is_error, .. }) => {
            format!("result {id}{}", if *is_error { " bad" } else { "" })
        }
        Effect::Tell(TurnEvent::Notice { text }) => format!("notice {text}"),
        Effect::Tell(event) => format!("{event:?}"),
        Effect::Ask { aloud, .. } => if *aloud { "ask" } else { "ask for a summary" }.to_owned(),
        Effect::Unknown(name) => format!("unknown {name}"),
        Effect::Call { calls, .. } => {
            let ids: Vec<&str> = calls.iter().map(|it| it.id.as_str()).collect();
            format!("run {}", ids.join(" "))
        }
        Effect::End(end) => match &end.how {
            How::Completed(outcome) => format!("completed {:?}", outcome.stop),
            How::Failed(failure) => format!("failed {}", failure.code),
            How::HandedOver { to, note } => format!("over to {to}: {note}"),
        },
    };
    effects.iter().map(word).collect()
}

#[track_caller]
fn check(turn: &mut Turn, event: Event, expected: &[&str]) -> Vec<Effect> {
    let effects = turn.on(event, NOW);
    assert_eq!(words(&effects), expected);
    effects
}

fn request(effects: &[Effect]) -> &ModelRequest {
    let Some(Effect::Ask { request, .. }) = effects.last() else {
        panic!("{effects:?}");
    };
    request
}

fn end(effects: &[Effect]) -> &End {
    let Some(Effect::End(end)) = effects.last() else {
        panic!("{effects:?}");
    };
    end
}

fn outcome(effects: &[Effect]) -> &TurnOutcome {
    let How::Completed(outcome) = &end(effects).how else {
        panic!("{effects:?}");
    };
    outcome
}

fn ask_counter(n: u32) -> Part {
    call(
        &format!("c{n}"),
        "ask_counter",
        json!({"message": format!("add {n}")}),
    )
}

#[test]
fn an_answer_ends_the_turn() {
    let mut turn = turn();
    let effects = check(&mut turn, Event::Begin, &["ask"]);
    let asked = request(&effects);
    assert_eq!(asked.system, "Be kind.");
    assert_eq!(asked.messages, [ChatMessage::user("how are you?")]);
    assert_eq!(asked.tools.len(), 3);
    assert_eq!(asked.output_tokens_max, 500);
    let effects = check(&mut turn, answered(&[text("well")]), &["completed End"]);
    assert_eq!(outcome(&effects).parts, [text("well")]);
    assert_eq!(outcome(&effects).usage.total(), 15);
    let said = [
        ChatMessage::user("how are you?"),
        ChatMessage::assistant("well"),
    ];
    assert_eq!(end(&effects).said, said);
    assert!(!end(&effects).broken);
    // Nothing comes after the end.
    check(&mut turn, answered(&[text("more")]), &[]);
}

#[test]
fn tools_run_and_the_model_goes_on() {
    let mut turn = turn();
    check(&mut turn, Event::Begin, &["ask"]);
    let thought = Part::Thinking {
        text: "hm".into(),
        signature: Some("signed".into()),
    };
    let parts = [
        thought.clone(),
        text("wait"),
        ask_counter(1),
        ask_counter(2),
    ];
    check(
        &mut turn,
        answered(&parts),
        &["called c1", "called c2", "run c1 c2"],
    );
    assert!(turn.has_spoken());
    let results = vec![
        Answered {
            parts: vec![text("1")],
            is_error: false,
        },
        Answered::error("CX-3006 late"),
    ];
    let effects = check(
        &mut turn,
        came(results),
        &["result c1", "result c2 bad", "ask"],
    );
    let asked = request(&effects);
    // What it thought goes back unchanged, signature and all, and each call has its result.
    assert_eq!(asked.messages[1].parts[0], thought);
    assert_eq!(asked.messages.len(), 3);
    assert_eq!(asked.messages[2].parts.len(), 2);
    let effects = check(&mut turn, answered(&[text("3")]), &["completed End"]);
    let said: String = outcome(&effects)
        .parts
        .iter()
        .map(|it| match it {
            Part::Text { text } => text.as_str(),
            _ => "",
        })
        .collect();
    assert_eq!(said, "wait\n\n3");
    assert_eq!(outcome(&effects).calls, 2);
    assert_eq!(end(&effects).said.len(), 4);
}

#[test]
fn calls_of_the_clients_own_tools_end_the_turn_with_them() {
    let mut turn = turn();
    check(&mut turn, Event::Begin, &["ask"]);
    let theirs = call("w", "weather", json!({"city": "Oslo"}));
    let parts = [text("let me see"), theirs.clone(), ask_counter(1)];
    let effects = check(
        &mut turn,
        answered(&parts),
        &["called w", "completed ToolCalls"],
    );
    assert_eq!(
        outcome(&effects).parts,
        [text("let me see"), theirs.clone()]
    );
    assert_eq!(end(&effects).said[1].parts, [text("let me see"), theirs]);
}

#[test]
fn what_a_client_insists_on_holds_for_its_own_message() {
    let mut settings = settings();
    settings.tool_choice = ToolChoice::Required;
    let mut turn = turn_with(settings, context(&[]));
    let effects = check(&mut turn, Event::Begin, &["ask"]);
    assert_eq!(request(&effects).tool_choice, ToolChoice::Required);
    check(
        &mut turn,
        answered(&[ask_counter(1)]),
        &["called c1", "run c1"],
    );
    let done = Answered {
        parts: vec![text("1")],
        is_error: false,
    };
    let effects = check(&mut turn, came(vec![done]), &["result c1", "ask"]);
    assert_eq!(request(&effects).tool_choice, ToolChoice::Auto);
}

#[test]
fn what_no_tool_takes_is_told_to_the_model_so_often_and_no_more() {
    let mut turn = turn();
    check(&mut turn, Event::Begin, &["ask"]);
    let unknown = call("x", "fly", json!({}));
    let effects = check(
        &mut turn,
        answered(std::slice::from_ref(&unknown)),
        &["called x", "unknown fly", "result x bad", "ask"],
    );
    let told = serde_json::to_string(&request(&effects).messages[2]).unwrap();
    assert!(
        told.contains("there is no tool `fly`") && told.contains("ask_counter"),
        "{told}"
    );
    let text_arguments = call("y", "ask_counter", json!("{\"mess"));
    check(
        &mut turn,
        answered(&[text_arguments]),
        &["called y", "result y bad", "ask"],
    );
    for _ in 2..BAD_CALLS_MAX {
        check(
            &mut turn,
            answered(std::slice::from_ref(&unknown)),
            &["called x", "unknown fly", "result x bad", "ask"],
        );
    }
    let effects = check(
        &mut turn,
        answered(&[unknown]),
        &["called x", "unknown fly", "failed CX-7025"],
    );
    assert!(end(&effects).broken);
}

#[test]
fn the_same_call_again_and_again_ends_the_turn() {
    let mut turn = turn();
    check(&mut turn, Event::Begin, &["ask"]);
    for _ in 0..SAME_CALLS_MAX {
        check(
            &mut turn,
            answered(&[ask_counter(1)]),
            &["called c1", "run c1"],
        );
        let result = Answered {
            parts: vec![text("?")],
            is_error: false,
        };
        check(&mut turn, came(vec![result]), &["result c1", "ask"]);
    }
    // Other arguments are another call.
    check(
        &mut turn,
        answered(&[ask_counter(2)]),
        &["called c2", "run c2"],
    );
    let result = Answered {
        parts: vec![text("?")],
        is_error: false,
    };
    check(&mut turn, came(vec![result]), &["result c2", "ask"]);
    check(
        &mut turn,
        answered(&[ask_counter(1)]),
        &["called c1", "failed CX-7025"],
    );
}

#[test]
fn one_answer_calls_so_many_tools_and_no_more() {
    let mut turn = turn();
    check(&mut turn, Event::Begin, &["ask"]);
    let parts: Vec<Part> = (0..CALLS_PER_STEP_MAX as u32 + 1)
        .map(ask_counter)
        .collect();
    let effects = turn.on(answered(&parts), NOW);
    let Some(Effect::Call { calls: run, .. }) = effects.last() else {
        panic!("{effects:?}");
    };
    assert_eq!(run.len(), CALLS_PER_STEP_MAX);
}

#[test]
fn ceilings_end_the_turn_before_the_next_call() {
    type Change = fn(&mut Settings);
    let cases: [(Change, &str); 4] = [
        (|it| it.steps_max = 1, "failed CX-7025"),
        (|it| it.tokens_max = 15, "failed CX-7025"),
        (|it| it.cost_micros_max = 7, "failed CX-7025"),
        (|it| it.tokens_max = 16, "ask"),
    ];
    for (change, expected) in cases {
        let mut settings = settings();
        change(&mut settings);
        let mut turn = turn_with(settings, context(&[]));
        check(&mut turn, Event::Begin, &["ask"]);
        check(
            &mut turn,
            answered(&[text("so"), ask_counter(1)]),
            &["called c1", "run c1"],
        );
        let result = Answered {
            parts: vec![text("1")],
            is_error: false,
        };
        let effects = check(&mut turn, came(vec![result]), &["result c1", expected]);
        match effects.last() {
            Some(Effect::Ask { tokens, .. }) => assert_eq!(*tokens, Some(1)),
            _ => assert_eq!(end(&effects).said.len(), 3),
        }
    }
    let mut turn = turn();
    let effects = turn.on(Event::Begin, Timestamp::from_us(2_000));
    assert_eq!(words(&effects), ["failed CX-7026"]);
}

#[test]
fn what_tools_cost_counts_in_the_ceilings_too() {
    let mut settings = settings();
    settings.cost_micros_max = 20;
    let mut turn = turn_with(settings, context(&[]));
    check(&mut turn, Event::Begin, &["ask"]);
    let effects = check(
        &mut turn,
        answered(&[text("so"), ask_counter(1)]),
        &["called c1", "run c1"],
    );
    let Some(Effect::Call { cost_micros, .. }) = effects.last() else {
        panic!("{effects:?}");
    };
    assert_eq!(*cost_micros, Some(13));
    let came = |cost_micros: u64| Event::Results {
        results: vec![Answered {
            parts: vec![text("1")],
            is_error: false,
        }],
        waited: Duration::ZERO,
        spent: Spent {
            tokens: Tokens {
                input: 100,
                ..Tokens::default()
            },
            cost_micros,
            calls: 0,
        },
    };
    let effects = check(&mut turn, came(4), &["result c1", "ask"]);
    let Some(Effect::Ask { cost_micros, .. }) = effects.last() else {
        panic!("{effects:?}");
    };
    assert_eq!(*cost_micros, Some(9));
    check(
        &mut turn,
        answered(&[ask_counter(2)]),
        &["called c2", "run c2"],
    );
    let effects = check(&mut turn, came(2), &["result c2", "failed CX-7025"]);
    let spent = end(&effects).spent;
    assert_eq!((spent.cost_micros, spent.tokens.input), (20, 220));
    assert_eq!(spent.calls, 2);
}

#[test]
fn what_was_said_until_a_fault_is_kept() {
    let mut turn = turn();
    check(&mut turn, Event::Begin, &["ask"]);
    let half = [text("I am w"), call("x", "ask_counter", Value::Null)];
    let effects = check(
        &mut turn,
        broke(Code::ModelAnswerBroken, &half),
        &["failed CX-7010"],
    );
    let said = [
        ChatMessage::user("how are you?"),
        ChatMessage::assistant("I am w"),
    ];
    assert_eq!(end(&effects).said, said);
    assert!(end(&effects).broken);
    let How::Failed(failure) = &end(&effects).how else {
        panic!("{effects:?}");
    };
    assert_eq!(
        (failure.usage.total(), failure.cost_micros, failure.calls),
        (15, 7, 1)
    );
}

#[test]
fn a_turn_that_cannot_go_on_ends_wherever_it_is() {
    let stop = || Event::Stop(Error::new(Code::TurnCancelled, "so"));
    check(&mut turn(), stop(), &["failed CX-7023"]);
    let mut turn = turn();
    check(&mut turn, Event::Begin, &["ask"]);
    check(
        &mut turn,
        answered(&[ask_counter(1)]),
        &["called c1", "run c1"],
    );
    let effects = check(&mut turn, stop(), &["failed CX-7023"]);
    assert_eq!(end(&effects).said.len(), 2);
}

#[test]
fn a_conversation_is_handed_over_with_what_was_said() {
    let over = |to: &str| call("h", HAND, json!({"to": to, "note": " wants a refund "}));
    const HAND: &str = crate::toolbox::HAND_OVER;
    let mut turn = turn();
    check(&mut turn, Event::Begin, &["ask"]);
    check(
        &mut turn,
        answered(&[over("stranger")]),
        &["called h", "result h bad", "ask"],
    );
    let parts = [text("One moment."), over("other"), ask_counter(1)];
    let effects = check(
        &mut turn,
        answered(&parts),
        &["called h", "called c1", "over to other: wants a refund"],
    );
    let last = end(&effects).said.last().unwrap();
    assert_eq!(last.parts, [text("One moment.")]);
    // So many hands and no more.
    let mut settings = settings();
    settings.hands = HANDS_MAX;
    let mut turn = turn_with(settings, context(&[]));
    check(&mut turn, Event::Begin, &["ask"]);
    check(
        &mut turn,
        answered(&[over("other")]),
        &["called h", "result h bad", "ask"],
    );
}

#[test]
fn whoever_goes_on_says_and_keeps_its_own() {
    let mut context = context(&[]);
    context.turn = vec![
        ChatMessage::user("a refund, please"),
        ChatMessage::assistant("One moment."),
        ChatMessage::user("(handed over)"),
    ];
    let mut turn =
        turn_with(settings(), context).going_on(2, "One moment.".into(), Spent::default());
    let effects = check(&mut turn, Event::Begin, &["ask"]);
    assert_eq!(request(&effects).messages.len(), 3);
    let effects = check(&mut turn, answered(&[text("Done.")]), &["completed End"]);
    assert_eq!(
        outcome(&effects).parts,
        [text("One moment."), text("\n\nDone.")]
    );
    let said = [
        ChatMessage::user("(handed over)"),
        ChatMessage::assistant("Done."),
    ];
    assert_eq!(end(&effects).said, said);
}

mod window;
