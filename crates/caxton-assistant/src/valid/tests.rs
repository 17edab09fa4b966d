//! Tables, and the property that whatever comes in, what goes out is taken by every provider.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn user(parts: Vec<Part>) -> ChatMessage {
    ChatMessage {
        role: ChatRole::User,
        parts,
    }
}

fn assistant(parts: Vec<Part>) -> ChatMessage {
    ChatMessage {
        role: ChatRole::Assistant,
        parts,
    }
}

fn call(id: &str) -> Part {
    Part::ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: json!({"a": 1}),
    }
}

fn result(id: &str, text: &str) -> Part {
    Part::ToolResult {
        id: id.into(),
        parts: vec![Part::text(text)],
        is_error: false,
    }
}

fn missing(id: &str) -> Part {
    Part::ToolResult {
        id: id.into(),
        parts: vec![Part::text(NO_RESULT)],
        is_error: true,
    }
}

fn thought(text: &str) -> Part {
    Part::Thinking {
        text: text.into(),
        signature: Some("sig".into()),
    }
}

#[track_caller]
fn check(from: &[ChatMessage], expected: &[ChatMessage]) {
    assert_eq!(valid(from.to_vec(), true), expected);
    assert_eq!(complaint(expected, true), None);
}

#[test]
fn what_is_valid_stays_as_it_is() {
    let text = Part::text;
    check(
        &[
            user(vec![text("q")]),
            assistant(vec![
                thought("hm"),
                text("let me see"),
                call("x"),
                call("y"),
            ]),
            user(vec![result("x", "1"), result("y", "2")]),
            assistant(vec![text("3")]),
        ],
        &[
            user(vec![text("q")]),
            assistant(vec![
                thought("hm"),
                text("let me see"),
                call("x"),
                call("y"),
            ]),
            user(vec![result("x", "1"), result("y", "2")]),
            assistant(vec![text("3")]),
        ],
    );
}

#[test]
fn interrupted_and_broken_turns_are_mended() {
    let text = Part::text;
    // A failed turn without an answer, and one with half an answer.
    check(
        &[
            user(vec![text("a")]),
            user(vec![text("b")]),
            assistant(vec![text("half")]),
            user(vec![text("c")]),
        ],
        &[
            user(vec![text("a"), text("b")]),
            assistant(vec![text("half")]),
            user(vec![text("c")]),
        ],
    );
    // One that broke off between a call and its result, and one whose second call never ran.
    check(
        &[
            user(vec![text("a")]),
            assistant(vec![call("x"), call("y")]),
            user(vec![result("y", "2"), text("b")]),
            assistant(vec![call("z")]),
        ],
        &[
            user(vec![text("a")]),
            assistant(vec![call("x"), call("y")]),
            user(vec![missing("x"), result("y", "2"), text("b")]),
            assistant(vec![call("z")]),
            user(vec![missing("z")]),
        ],
    );
}

#[test]
fn ids_are_plain_unique_and_still_those_of_their_results() {
    let text = Part::text;
    let long = "i".repeat(41);
    check(
        &[
            user(vec![text("a")]),
            assistant(vec![
                call("x"),
                call("x"),
                call(""),
                call(&long),
                call("a b"),
            ]),
            user(vec![
                result("x", "1"),
                result("x", "2"),
                result("", "3"),
                result(&long, "4"),
                result("a b", "5"),
            ]),
        ],
        &[
            user(vec![text("a")]),
            assistant(vec![
                call("x"),
                call("call_1"),
                call("call_2"),
                call("call_3"),
                call("call_4"),
            ]),
            user(vec![
                result("x", "1"),
                result("call_1", "2"),
                result("call_2", "3"),
                result("call_3", "4"),
                result("call_4", "5"),
            ]),
        ],
    );
}

#[test]
fn strays_are_told_as_text() {
    let text = Part::text;
    check(
        &[
            assistant(vec![text("hello"), text("  \n")]),
            user(vec![result("gone", "42"), text("and?")]),
        ],
        &[
            user(vec![text(BEGINNING)]),
            assistant(vec![text("hello")]),
            user(vec![text("[the tool answered: 42]"), text("and?")]),
        ],
    );
    let told = valid(
        vec![
            user(vec![text("a")]),
            assistant(vec![call("x")]),
            user(vec![result("x", "1")]),
        ],
        false,
    );
    assert_eq!(told[1].text(), "[tool f called with {\"a\":1}]");
    assert_eq!(told[2].text(), "[the tool answered: 1]");
}

#[test]
fn thinking_goes_back_within_its_loop_of_tools_alone() {
    let text = Part::text;
    check(
        &[
            user(vec![text("a")]),
            assistant(vec![thought("old"), call("x")]),
            user(vec![result("x", "1")]),
            assistant(vec![thought("old"), text("done")]),
            user(vec![text("b")]),
            assistant(vec![thought("new"), call("y")]),
            user(vec![result("y", "2")]),
        ],
        &[
            user(vec![text("a")]),
            assistant(vec![call("x")]),
            user(vec![result("x", "1")]),
            assistant(vec![text("done")]),
            user(vec![text("b")]),
            assistant(vec![thought("new"), call("y")]),
            user(vec![result("y", "2")]),
        ],
    );
}

#[test]
fn arguments_are_objects() {
    let cut = Part::ToolCall {
        id: "x".into(),
        name: "f".into(),
        arguments: json!("{\"a\": "),
    };
    let mended = valid(
        vec![user(vec![Part::text("a")]), assistant(vec![cut])],
        true,
    );
    let Part::ToolCall { arguments, .. } = &mended[1].parts[0] else {
        panic!("{mended:?}");
    };
    assert_eq!(*arguments, json!({"malformed": "{\"a\": "}));
}

/// What a provider would find fault with.
pub fn complaint(messages: &[ChatMessage], tools: bool) -> Option<String> {
    let mut ids = HashSet::new();
    let mut open: Vec<String> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = if at % 2 == 0 {
            ChatRole::User
        } else {
            ChatRole::Assistant
        };
        if message.role != role {
            return Some(format!("roles do not alternate at {at}"));
        }
        if message.parts.is_empty() {
            return Some(format!("message {at} is empty"));
        }
        let mut results = Vec::new();
        let mut calls = Vec::new();
        for part in &message.parts {
            match part {
                Part::Text { text } if text.trim().is_empty() => {
                    return Some(format!("blank text at {at}"));
                }
                Part::ToolCall { id, arguments, .. } => {
                    let fits = role == ChatRole::Assistant && tools && arguments.is_object();
                    if !fits || id.is_empty() || !ids.insert(id.clone()) {
                        return Some(format!("call {id:?} at {at}"));
                    }
                    calls.push(id.clone());
                }
                Part::ToolResult { id, .. } => results.push(id.clone()),
                Part::Thinking { .. } if role == ChatRole::User => {
                    return Some(format!("a user thinks at {at}"));
                }
                _ => {}
            }
        }
        if results != open {
            return Some(format!("results {results:?} for {open:?} at {at}"));
        }
        open = calls;
    }
    (!open.is_empty()).then(|| format!("no results for {open:?}"))
}

fn any_part() -> impl Strategy<Value = Part> {
    let id = prop_oneof![Just("x"), Just("y"), Just(""), Just("ö"), Just("call_1")];
    prop_oneof![
        4 => "[ a-z]{0,40}".prop_map(Part::text),
        2 => (id.clone(), prop_oneof![Just(json!({})), Just(json!("{")), Just(json!(null))]).prop_map(
            |(id, arguments)| Part::ToolCall { id: id.into(), name: "f".into(), arguments }
        ),
        2 => (id, "[a-z]{0,400}").prop_map(|(id, text)| result(id, &text)),
        1 => "[a-z]{0,40}".prop_map(|text| thought(&text)),
    ]
}

/// Any history at all.
pub fn any_history() -> impl Strategy<Value = Vec<ChatMessage>> {
    let role = prop_oneof![Just(ChatRole::User), Just(ChatRole::Assistant)];
    let parts = prop::collection::vec(any_part(), 0..5);
    let message = (role, parts).prop_map(|(role, parts)| ChatMessage { role, parts });
    prop::collection::vec(message, 0..24)
}

proptest! {
    #[test]
    fn any_history_becomes_valid(history in any_history(), tools: bool) {
        let mended = valid(history.clone(), tools);
        prop_assert_eq!(complaint(&mended, tools), None, "{:?}", mended);
        // What is valid is left alone.
        let thinks = |it: &Part| matches!(it, Part::Thinking { .. });
        if !mended.iter().flat_map(|it| &it.parts).any(thinks) {
            prop_assert_eq!(&valid(mended.clone(), tools), &mended);
        }
        // No word that somebody said is lost.
        let texts = |messages: &[ChatMessage]| messages.iter().map(ChatMessage::text).collect::<String>();
        let all = texts(&mended);
        for text in history.iter().flat_map(|it| &it.parts) {
            if let Part::Text { text } = text && !text.trim().is_empty() {
                prop_assert!(all.contains(text.as_str()), "{text:?} is lost");
            }
        }
    }
}
