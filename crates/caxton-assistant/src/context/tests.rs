//! That any history becomes a request that fits, in bounded steps.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::bounds::COMPACT_CALLS_MAX;
use crate::toolbox::Toolbox;
use crate::turn::{Effect, End, Event, How, Settings, Spent, Turn};
use crate::valid::tests::{any_history, complaint};
use caxton_core::error::{Code, Error};
use caxton_core::model::{ModelName, ModelReply, Thinking, ToolChoice};
use caxton_core::session::TurnEvent;
use caxton_core::{AgentName, Timestamp};
use proptest::prelude::*;

fn settings(window: Window) -> Settings {
    Settings {
        agent: AgentName::parse("me").unwrap(),
        model: ModelName::demo(),
        window,
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

/// What a model answers that is asked for summaries.
#[derive(Clone, Debug)]
enum Summarizer {
    Says(String),
    Fails,
}

fn event(answer: &Summarizer) -> Event {
    let mut reply = ModelReply::default();
    match answer {
        Summarizer::Says(text) => {
            reply.parts.push(Part::text(text.as_str()));
            Event::Answered {
                reply,
                model: ModelName::demo(),
                spent: Spent::default(),
            }
        }
        Summarizer::Fails => Event::Broke {
            error: Error::new(Code::ModelUnavailable, "so"),
            reply,
            spent: Spent::default(),
        },
    }
}

fn any_summarizer() -> impl Strategy<Value = Summarizer> {
    prop_oneof![
        3 => "[a-z ]{0,60}".prop_map(Summarizer::Says),
        1 => (1..20_000_usize).prop_map(|n| Summarizer::Says("s".repeat(n))),
        1 => Just(Summarizer::Fails),
    ]
}

/// Histories with messages of any length, and tool calls in them.
fn any_long_history() -> impl Strategy<Value = Vec<ChatMessage>> {
    let fill = (0..3_000_usize, "[a-z]").prop_map(|(n, c)| c.repeat(n));
    (any_history(), prop::collection::vec(fill, 0..24)).prop_map(|(mut history, fills)| {
        for (message, fill) in history.iter_mut().zip(fills) {
            message.parts.push(Part::text(fill));
        }
        history
    })
}

proptest! {
    #[test]
    fn any_history_fits_in_bounded_steps(
        history in any_long_history(),
        newest in 1..4_000_usize,
        prompt in 0..2_000_usize,
        summary in proptest::option::of(0..9_000_usize),
        window in 40..6_000_u64,
        output in 1..4_096_u32,
        answers in prop::collection::vec(any_summarizer(), COMPACT_CALLS_MAX as usize),
    ) {
        let window = Window::new(window, output);
        let mut context = Context::new("p".repeat(prompt), summary.map(|n| "s".repeat(n)), 7);
        context.seen = history.clone();
        context.turn.push(ChatMessage::user("n".repeat(newest)));
        let alone = tokens(&"p".repeat(prompt)) + context.turn[0].tokens_estimate();
        let mut turn = Turn::new(settings(window), Toolbox::default(), context);
        let mut answers = answers.iter();
        let mut event_now = Event::Begin;
        let mut dropped = false;
        // Each answer is asked for at most once, and then the question itself, or the refusal.
        loop {
            let effects = turn.on(event_now, Timestamp::from_us(0));
            dropped |= effects.iter().any(|it| matches!(it, Effect::Tell(TurnEvent::Notice { text }) if text.contains("left out")));
            match effects.last().unwrap() {
                Effect::Ask { request, aloud: false, .. } => {
                    prop_assert_eq!(complaint(&request.messages, false), None);
                    let Some(answer) = answers.next() else {
                        panic!("more than {COMPACT_CALLS_MAX} summaries");
                    };
                    event_now = event(answer);
                }
                Effect::Ask { request, aloud: true, .. } => {
                    prop_assert!(request.tokens_estimate() <= window.room());
                    prop_assert_eq!(complaint(&request.messages, false), None);
                    let last = request.messages.last().unwrap().text();
                    prop_assert!(last.ends_with(&"n".repeat(newest)), "the newest is lost");
                    break;
                }
                Effect::End(end) => {
                    let End { how: How::Failed(failure), .. } = &**end else {
                        panic!("{end:?}");
                    };
                    prop_assert_eq!(&failure.code, "CX-7006");
                    prop_assert!(alone > window.room(), "{} of {}", alone, window.room());
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        // What is seen moved with what was left, and nothing else.
        let context = turn.clone().into_context();
        let gone = usize::try_from(context.seen_from - 7).unwrap();
        prop_assert_eq!(&context.seen[..], &history[gone..]);
        prop_assert!(gone == 0 || dropped || context.summary.is_some());
    }
}

#[test]
fn exchanges_are_never_split_between_a_call_and_its_result() {
    let call = |id: &str| Part::ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: serde_json::json!({}),
    };
    let result = |id: &str| Part::ToolResult {
        id: id.into(),
        parts: vec![Part::text("r".repeat(400))],
        is_error: false,
    };
    let said = |role, part| ChatMessage {
        role,
        parts: vec![part],
    };
    let messages = [
        ChatMessage::user("a"),
        said(ChatRole::Assistant, call("x")),
        said(ChatRole::User, result("x")),
        ChatMessage::assistant("b"),
        ChatMessage::user("c"),
        ChatMessage::assistant("d"),
    ];
    assert_eq!(ends(&messages).collect::<Vec<_>>(), [4, 6]);
    assert_eq!(ends(&[]).count(), 0);
    let mut context = Context::new(String::new(), None, 0);
    context.seen = messages.to_vec();
    for keep in 0..200 {
        let piece = context.piece(Window::new(10_000, 100), keep);
        assert!([4, 6].contains(&piece), "{keep}: {piece}");
    }
    assert_eq!(context.oldest(1), 4);
    assert_eq!(context.oldest(10_000), 6);
}

#[test]
fn texts_are_cut_at_characters() {
    assert_eq!(cut("ääää", 100), "ääää");
    assert!(cut(&"ä".repeat(50), 21).len() <= 21);
    let middle = middle_out(&format!("{}{}", "ä".repeat(50), "z".repeat(50)), 41);
    assert!(middle.len() <= 41 && middle.starts_with('ä') && middle.ends_with('z'));
}
