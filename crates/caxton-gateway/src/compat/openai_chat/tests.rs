//! Requests and turns in this dialect, held against what lies in `golden/`.
#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};

use super::*;
use crate::compat::golden::{asked, expect, of, pretty, stream, turns, whole};

#[test]
fn a_request_is_read_as_it_was_meant() {
    let request = include_bytes!("golden/request.json");
    let read = decode(request).unwrap();
    assert!(read.include_usage);
    expect(
        "openai_chat/golden/asked.json",
        &pretty(&asked(&read.asked)),
    );
}

#[test]
fn turns_are_written_as_completions_and_chunks() {
    for (name, events) in turns() {
        let mut encoder = Stream::new(of(), name == "plain");
        let text = stream(&events, 0, |event, out| encoder.event(event, out));
        expect(&format!("openai_chat/golden/{name}.sse"), &text);
        if let Some((gathered, outcome)) = whole(&events) {
            let answer = answer(&of(), &gathered, &outcome);
            expect(&format!("openai_chat/golden/{name}.json"), &pretty(&answer));
        }
        let all = text.matches("\ndata: ").count() + 1;
        for seen in 0..all {
            let mut encoder = Stream::new(of(), name == "plain");
            let rest = stream(&events, seen as u64, |event, out| encoder.event(event, out));
            assert!(text.ends_with(&rest), "{name} after {seen}");
        }
    }
}

#[test]
fn what_is_not_done_is_refused_and_named() {
    let check = |field: &str, value: Value, named: &str| {
        let mut body = json!({"model": "a", "messages": [{"role": "user", "content": "x"}]});
        body[field] = value;
        let error = decode(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.fields[0].0, named, "{error}");
    };
    check("n", json!(2), "n");
    check("n", json!("2"), "n");
    check("logprobs", json!(true), "logprobs");
    check("functions", json!([{}]), "functions");
    check("audio", json!({}), "audio");
    check("modalities", json!(["text", "audio"]), "modalities");
    check("messages", json!([]), "messages");
    check("messages", json!([{"role": "wizard"}]), "messages[0].role");
    check(
        "messages",
        json!([{"role": "tool"}]),
        "messages[0].tool_call_id",
    );
    check("stop", json!([1]), "stop");
    check("tool_choice", json!("any"), "tool_choice");
    check("tools", json!([{"type": "x"}]), "tools[0].type");
    check("reasoning_effort", json!("hard"), "reasoning_effort");
    check("max_tokens", json!(-1), "max_tokens");
    let image = json!([{"type": "image_url", "image_url": {"url": "file:///x"}}]);
    let said = json!([{"role": "user", "content": image}]);
    check("messages", said, "messages[0].content[0].image_url");
    assert!(decode(b"[]").is_err());
    assert!(decode(b"").is_err());
}

#[test]
fn an_assistant_is_asked_by_a_user() {
    let mut body = json!({"model": "a", "messages": [{"role": "assistant", "content": "x"}]});
    let read = decode(body.to_string().as_bytes()).unwrap();
    assert_eq!(read.asked.addressed().unwrap_err().fields[0].0, "messages");
    body["model"] = json!("p/m");
    let read = decode(body.to_string().as_bytes()).unwrap();
    assert!(
        read.asked.addressed().is_ok(),
        "a model may go on with its own words"
    );
}

#[test]
fn the_form_of_an_answer_is_read_or_refused() {
    let read = |format: Value| {
        let body = json!({"model": "a", "response_format": format,
            "messages": [{"role": "user", "content": "x"}]});
        decode(body.to_string().as_bytes()).map(|it| it.asked.form)
    };
    assert_eq!(read(json!({"type": "text"})).unwrap(), None);
    assert_eq!(read(Value::Null).unwrap(), None);
    let any = read(json!({"type": "json_object"})).unwrap().unwrap();
    assert_eq!(any.schema, None);
    for (format, named) in [
        (json!("json"), "response_format"),
        (json!({"type": "xml"}), "response_format.type"),
        (
            json!({"type": "json_schema"}),
            "response_format.json_schema",
        ),
        (
            json!({"type": "json_schema", "json_schema": {"schema": []}}),
            "response_format.json_schema.schema",
        ),
    ] {
        let error = read(format).unwrap_err();
        assert_eq!(error.fields[0].0, named, "{error}");
    }
}
