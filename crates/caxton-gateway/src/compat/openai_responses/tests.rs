//! Requests and turns in this dialect, held against what lies in `golden/`.
#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};

use super::*;
use crate::compat::golden::{asked, expect, of, pretty, stream, turns, whole};

fn shape() -> Shape {
    Shape {
        store: true,
        metadata: json!({"a": "b"}),
        tools: json!([]),
        tool_choice: json!("auto"),
        parallel_calls: true,
        ..Shape::default()
    }
}

#[test]
fn a_request_is_read_as_it_was_meant() {
    let request = include_bytes!("golden/request.json");
    let read = decode(request).unwrap();
    let previous = read.previous.map(|it| it.to_string());
    let mut shown = asked(&read.asked);
    shown["previous"] = json!(previous);
    shown["store"] = json!(read.store);
    shown["shape"] = json!(read.shape);
    expect("openai_responses/golden/asked.json", &pretty(&shown));
}

#[test]
fn turns_are_written_as_responses_and_events() {
    for (name, events) in turns() {
        let mut encoder = Stream::new(of(), shape());
        let text = stream(&events, 0, |event, out| encoder.event(event, out));
        expect(&format!("openai_responses/golden/{name}.sse"), &text);
        if let Some((gathered, outcome)) = whole(&events) {
            let answer = answer(&of(), &shape(), &gathered, &outcome);
            let file = format!("openai_responses/golden/{name}.json");
            expect(&file, &pretty(&answer));
            // The last event has the same answer.
            let last = text.lines().rfind(|it| it.starts_with("data: ")).unwrap();
            let last: Value = serde_json::from_str(&last[6..]).unwrap();
            assert_eq!(last["response"], answer, "{name}");
        }
        let all = text.matches("\ndata: ").count();
        for seen in 0..=all {
            let mut encoder = Stream::new(of(), shape());
            let rest = stream(&events, seen as u64, |event, out| encoder.event(event, out));
            assert!(text.ends_with(&rest), "{name} after {seen}");
        }
    }
}

#[test]
fn what_is_not_done_is_refused_and_named() {
    let check = |field: &str, value: Value, named: &str| {
        let mut body = json!({"model": "a", "input": "x"});
        body[field] = value;
        let error = decode(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.fields[0].0, named, "{error}");
    };
    check("input", Value::Null, "input");
    check("input", json!([]), "input");
    check(
        "input",
        json!([{"type": "item_reference", "id": "x"}]),
        "input[0]",
    );
    check("input", json!([{"role": "user"}]), "input[0].content");
    check("background", json!(true), "background");
    check("conversation", json!("conv_1"), "conversation");
    check("prompt", json!({"id": "x"}), "prompt");
    check("tools", json!([{"type": "web_search"}]), "tools[0].type");
    check("tool_choice", json!({"type": "mcp"}), "tool_choice");
    check("reasoning", json!({"effort": "hard"}), "reasoning.effort");
    let unknown = json!({"model": "a", "input": "x", "previous_response_id": "resp_1"});
    let error = decode(unknown.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.http_status(), 404);
}
