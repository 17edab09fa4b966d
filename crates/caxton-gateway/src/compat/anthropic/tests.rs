//! Requests and turns in this dialect, held against what lies in `golden/`.
#![allow(clippy::unwrap_used)]
use caxton_core::model::Thinking;
use serde_json::{Value, json};

use super::*;
use crate::compat::golden::{asked, expect, of, pretty, stream, turns, whole};

#[test]
fn a_request_is_read_as_it_was_meant() {
    let request = include_bytes!("golden/request.json");
    let read = decode(request, false).unwrap();
    expect("anthropic/golden/asked.json", &pretty(&asked(&read)));
}

#[test]
fn turns_are_written_as_messages_and_events() {
    for (name, events) in turns() {
        let mut encoder = Stream::new(of());
        let text = stream(&events, 0, |event, out| encoder.event(event, out));
        expect(&format!("anthropic/golden/{name}.sse"), &text);
        if let Some((gathered, outcome)) = whole(&events) {
            let answer = answer(&of(), &gathered, &outcome);
            expect(&format!("anthropic/golden/{name}.json"), &pretty(&answer));
        }
        let all = text.matches("\ndata: ").count();
        for seen in 0..=all {
            let mut encoder = Stream::new(of());
            let rest = stream(&events, seen as u64, |event, out| encoder.event(event, out));
            assert!(text.ends_with(&rest), "{name} after {seen}");
            assert_eq!(rest.matches("\ndata: ").count(), all - seen);
        }
    }
}

#[test]
fn what_is_not_done_is_refused_and_named() {
    let check = |field: &str, value: Value, named: &str| {
        let mut body = json!({
            "model": "a",
            "max_tokens": 1,
            "messages": [{"role": "user", "content": "x"}],
        });
        body[field] = value;
        let error = decode(body.to_string().as_bytes(), false).unwrap_err();
        assert_eq!(error.fields[0].0, named, "{error}");
    };
    check("max_tokens", Value::Null, "max_tokens");
    check("messages", json!([]), "messages");
    check(
        "messages",
        json!([{"role": "system", "content": "x"}]),
        "messages[0].role",
    );
    check("messages", json!([{"role": "user"}]), "messages[0].content");
    check(
        "tools",
        json!([{"type": "web_search_20250305", "name": "w"}]),
        "tools[0].type",
    );
    check("tool_choice", json!({"type": "all"}), "tool_choice.type");
    check(
        "thinking",
        json!({"type": "enabled"}),
        "thinking.budget_tokens",
    );
    let image = json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "?"}}]);
    let said = json!([{"role": "user", "content": image}]);
    check("messages", said, "messages[0].content[0].source");
    let counted = json!({"model": "a", "messages": [{"role": "user", "content": "x"}]});
    assert!(decode(counted.to_string().as_bytes(), true).is_ok());
}

#[test]
fn a_budget_is_the_next_level_that_holds_it() {
    let level = |thinking: Value| {
        let body = json!({
            "model": "a",
            "max_tokens": 1,
            "messages": [{"role": "user", "content": "x"}],
            "thinking": thinking,
        });
        decode(body.to_string().as_bytes(), false).unwrap().thinking
    };
    let enabled = |budget: u32| level(json!({"type": "enabled", "budget_tokens": budget}));
    assert_eq!(level(Value::Null), None);
    assert_eq!(level(json!({"type": "disabled"})), Some(Thinking::Off));
    assert_eq!(enabled(1024), Some(Thinking::Minimal));
    assert_eq!(enabled(1025), Some(Thinking::Low));
    assert_eq!(enabled(100_000), Some(Thinking::High));
}

#[test]
fn the_form_of_an_answer_is_read_where_it_stands_now_and_where_it_stood() {
    let schema = json!({"type": "object"});
    let format = json!({"type": "json_schema", "schema": schema});
    for field in [
        json!({"output_config": {"format": format}}),
        json!({"output_format": format}),
    ] {
        let mut body = json!({"model": "a", "max_tokens": 1,
            "messages": [{"role": "user", "content": "x"}]});
        let (name, value) = field.as_object().unwrap().iter().next().unwrap();
        body[name] = value.clone();
        let asked = decode(body.to_string().as_bytes(), false).unwrap();
        let form = asked.form.unwrap();
        assert_eq!(
            (form.schema.as_ref(), form.strict),
            (Some(&schema), Some(true))
        );
        // For a provider that speaks the same it stays as it came.
        assert_eq!(asked.extra[name], *value);
    }
}
