//! Its rules, one by one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use caxton_core::model::{ChatMessage, ModelReply, ToolChoice, ToolSpec};
use serde_json::{Value, json};

const SYSTEM: &str = "You are Pip, the shop's helper. We open at nine and close at five. \
                      If somebody asks for a refund, say \"Write to the office.\"";

/// The conversation's texts, the user's first; the answer to the last.
fn ask(texts: &[&str]) -> ModelReply {
    let mut messages = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        messages.push(if n % 2 == 0 {
            ChatMessage::user(*text)
        } else {
            ChatMessage::assistant(*text)
        });
    }
    let mut request = ModelRequest::new(messages, 1_000);
    request.system = SYSTEM.to_owned();
    reply(&request)
}

fn reply(request: &ModelRequest) -> ModelReply {
    let mut reply = ModelReply::default();
    for event in answer(request) {
        reply.apply(&event).unwrap();
    }
    reply
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(ask(&["hi", "Hello!", text]).text(), expected, "{text}");
}

#[test]
fn it_says_first_that_it_is_no_language_model_and_then_no_more() {
    let first = ask(&["hello"]).text();
    assert!(first.contains("not a language model"), "{first}");
    assert!(
        first.ends_with("`help` tells what I understand."),
        "{first}"
    );
    check("hello", "Hello! `help` tells what I understand.");
}

#[test]
fn it_answers_by_rules() {
    check("echo Hello, World", "Hello, World");
    check("Count to 5, please", "1 2 3 4 5");
    check("count to 1000", "I count to 100 at most.");
    check("what is 12 * 12?", "144");
    check("7 / 2", "3 and a rest of 1.");
    check("1 / 0", "Nothing can be divided by 0.");
    check("9223372036854775807 + 1", "That is more than I can count.");
    check(
        "How many messages have I sent?",
        "You have sent 2 messages in this conversation.",
    );
    check("what did I say first?", "You said: hi");
    check("thanks a lot", "You are welcome.");
    check("ping", "pong");
    check("", "Say something; `help` tells what I understand.");
    assert!(
        ask(&["a", "b", "what time is it?"])
            .text()
            .contains("no clock")
    );
    assert!(ask(&["a", "b", "help"]).text().contains("count to 5"));
}

#[test]
fn it_remembers_a_name() {
    let told = ask(&["a", "b", "Hello, my name is Ada Lovelace."]).text();
    assert_eq!(
        told,
        "Pleased to meet you, Ada. Ask me for your name whenever you like."
    );
    let asked = ask(&["My name is Ada", "…", "what is my name?"]).text();
    assert_eq!(asked, "Your name is Ada: you told me.");
    // The newest counts.
    let renamed = ask(&["My name is Ada", "…", "call me Zoë", "…", "Who am I?"]).text();
    assert_eq!(renamed, "Your name is Zoë: you told me.");
    check("what's my name?", "You have not told me your name.");
}

#[test]
fn it_answers_from_its_instructions() {
    check(
        "When do you open?",
        "From my instructions: We open at nine and close at five.",
    );
    check("I want a refund", "Write to the office.");
    check(
        "who are you?",
        "My instructions say that I am Pip, the shop's helper. What answers you is `demo`.",
    );
    check(
        "what are your instructions?",
        "My instructions:\n1. You are Pip, the shop's helper.\n2. We open at nine and close at five.\n\
         3. If somebody asks for a refund, say \"Write to the office.",
    );
    check(
        "Xyzzy",
        "You said: Xyzzy\nI have no rule for that and nothing in my instructions is about it. \
         `help` tells what I understand.",
    );
}

fn tool(name: &str, schema: Value) -> ToolSpec {
    ToolSpec::new(name, format!("does {name}"), schema)
}

fn with_tools(text: &str) -> ModelRequest {
    let mut request = ModelRequest::new(vec![ChatMessage::user(text)], 1_000);
    request.tools = vec![
        tool("clock", json!({"type": "object"})),
        tool(
            "search",
            json!({"type": "object", "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}}, "required": ["query"]}),
        ),
    ];
    request
}

#[test]
fn it_uses_tools_when_asked_plainly() {
    let check = |text: &str, name: &str, arguments: Value| {
        let reply = reply(&with_tools(text));
        let calls: Vec<_> = reply.tool_calls().collect();
        assert_eq!(calls, [("call_1", name, &arguments)], "{text}");
        assert_eq!(reply.stop, Some(StopReason::ToolCalls));
    };
    check("use clock", "clock", json!({}));
    check(
        "Please use the tool `search` with {\"query\": \"a\", \"limit\": 3}",
        "search",
        json!({"query": "a", "limit": 3}),
    );
    check(
        "call search: query=rust limit=3",
        "search",
        json!({"query": "rust", "limit": 3}),
    );
    check(
        "use search for old ships",
        "search",
        json!({"query": "old ships"}),
    );
    for text in ["useful clocks", "use the force", "I use clock"] {
        assert_eq!(reply(&with_tools(text)).tool_calls().count(), 0, "{text}");
    }
    let listed = reply(&with_tools("which tools do you have?")).text();
    assert!(listed.contains("- search: does search"), "{listed}");
}

#[test]
fn a_demanded_tool_is_called_once_and_its_answer_told() {
    let mut request = with_tools("noon");
    request.tool_choice = ToolChoice::Named("search".to_owned());
    let first = reply(&request);
    assert_eq!(first.tool_calls().count(), 1);
    request.messages.push(ChatMessage {
        role: ChatRole::Assistant,
        parts: first.parts,
    });
    request.messages.push(ChatMessage {
        role: ChatRole::User,
        parts: vec![Part::ToolResult {
            id: "call_1".to_owned(),
            parts: vec![Part::text("12:00")],
            is_error: false,
        }],
    });
    assert_eq!(reply(&request).text(), "search answered: 12:00");
}

#[test]
fn ceilings_and_stops_are_kept() {
    let mut request = ModelRequest::new(vec![ChatMessage::user("hello")], 2);
    let cut = reply(&request);
    assert_eq!(
        (cut.text().len(), cut.stop),
        (8, Some(StopReason::MaxTokens))
    );
    request.output_tokens_max = 1_000;
    request.stop = vec!["language".to_owned()];
    let stopped = reply(&request);
    assert_eq!(stopped.text(), "I am `demo`: plain rules, not a ");
    assert_eq!(stopped.stop, Some(StopReason::StopSequence));
}

#[test]
fn it_streams_words_and_says_what_it_used() {
    let request = ModelRequest::new(vec![ChatMessage::user("count to 20")], 1_000);
    let events = answer(&request);
    let texts = events
        .iter()
        .filter(|it| matches!(it, ModelEvent::Text(_)))
        .count();
    assert!(texts > 20, "{texts}");
    let usage = reply(&request).usage.unwrap();
    assert!(
        usage.estimated && usage.input > 0 && usage.output > 20,
        "{usage:?}"
    );
    assert_eq!(answer(&request), events);
}
