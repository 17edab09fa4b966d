//! One input, each provider: what is written for them, and what their streams come to. Snapshots are
//! renewed with `INSTA_UPDATE=always` and read before they are kept.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use caxton_core::model::{
    AnswerForm, ChatMessage, Dialect, ModelEvent, ModelReply, ModelRequest, Part,
};
use caxton_engine::port::model::ProviderKind;
use caxton_llm::Table;
use caxton_llm::translate::{self, Traits};
use serde_json::{Value, json};
use support::{DIALECTS, decode, full, own, requests, streams};

fn traits() -> Traits {
    Traits {
        sampling: true,
        ..Traits::default()
    }
}

fn written(dialect: Dialect, request: &ModelRequest, model: &str, traits: &Traits) -> Value {
    let outgoing = translate::request(dialect, request, model, traits);
    let body: Value = serde_json::from_slice(&outgoing.body).expect("JSON");
    json!({"path": outgoing.path, "headers": outgoing.headers.len(), "body": body})
}

#[test]
fn one_input_for_each_provider() {
    for (dialect, provider) in DIALECTS {
        for (name, request) in requests() {
            let written = written(dialect, &request, "some-model", &traits());
            insta::assert_json_snapshot!(format!("request-{provider}-{name}"), written);
        }
    }
}

#[test]
fn fields_of_parts_tools_and_the_system_go_to_their_dialect_alone() {
    let official = Traits {
        official: true,
        ..traits()
    };
    for (dialect, provider) in DIALECTS {
        let found = written(dialect, &own(dialect), "some-model", &official);
        insta::assert_json_snapshot!(format!("request-{provider}-own"), found);
        for (of, _) in DIALECTS.into_iter().filter(|(of, _)| *of != dialect) {
            let mut plain = own(of);
            plain.extra = None;
            plain.system_marks.clear();
            plain.tools.iter_mut().for_each(|tool| tool.extra = None);
            for message in &mut plain.messages {
                let more = |part: &Part| !matches!(part, Part::Extra { .. });
                message.parts.retain(more);
            }
            let expected = written(dialect, &plain, "m", &traits());
            assert_eq!(written(dialect, &own(of), "m", &traits()), expected);
        }
    }
}

#[test]
fn the_form_of_an_answer_is_asked_for_in_each_providers_words() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}},
        "required": ["city"], "additionalProperties": false});
    let mut request = ModelRequest::new(vec![ChatMessage::user("Where?")], 500);
    request.form = Some(AnswerForm {
        schema: Some(schema.clone()),
        name: Some("place".into()),
        description: None,
        strict: Some(true),
    });
    let format = |dialect, request: &ModelRequest| {
        let body = written(dialect, request, "some-model", &traits())["body"].clone();
        let places = ["/response_format", "/text/format", "/output_config/format"];
        let found: Vec<Value> = places
            .iter()
            .filter_map(|at| body.pointer(at))
            .cloned()
            .collect();
        assert_eq!(found.len(), 1, "{body}");
        found[0].clone()
    };
    let chat = json!({"type": "json_schema",
        "json_schema": {"name": "place", "schema": schema, "strict": true}});
    let responses =
        json!({"type": "json_schema", "name": "place", "schema": schema, "strict": true});
    let anthropic = json!({"type": "json_schema", "schema": schema});
    assert_eq!(format(Dialect::OpenaiChat, &request), chat);
    assert_eq!(format(Dialect::OpenaiResponses, &request), responses);
    assert_eq!(format(Dialect::Anthropic, &request), anthropic);
    // A name is needed there; whether it is strict, only whoever says so.
    request.form = Some(AnswerForm {
        schema: Some(schema.clone()),
        ..AnswerForm::default()
    });
    let nameless =
        json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
    assert_eq!(format(Dialect::OpenaiChat, &request), nameless);
    // Any JSON: where the protocol has that.
    request.form = Some(AnswerForm::default());
    let any = json!({"type": "json_object"});
    assert_eq!(format(Dialect::OpenaiChat, &request), any);
    assert_eq!(format(Dialect::OpenaiResponses, &request), any);
    assert!(translate::refused(Dialect::Anthropic, &request).is_some());
    assert!(translate::refused(Dialect::OpenaiChat, &request).is_none());
    request.form = None;
    assert!(translate::refused(Dialect::Anthropic, &request).is_none());
}

#[test]
fn what_a_client_says_in_its_providers_own_words_of_a_form_stays_as_it_is() {
    let given = |dialect, extra: Value| {
        let mut request = ModelRequest::new(vec![ChatMessage::user("Where?")], 8_000);
        request.thinking = Some(caxton_core::model::Thinking::High);
        request.form = Some(AnswerForm {
            schema: Some(json!({"type": "object"})),
            ..AnswerForm::default()
        });
        request.extra = Some((dialect, extra.as_object().unwrap().clone()));
        let adaptive = Traits {
            adaptive: true,
            ..traits()
        };
        written(dialect, &request, "some-model", &adaptive)["body"].clone()
    };
    let own = json!({"type": "json_schema", "json_schema": {"name": "own", "new": 1}});
    let body = given(Dialect::OpenaiChat, json!({"response_format": own}));
    assert_eq!(body["response_format"], own);
    let own = json!({"format": {"type": "json_schema", "name": "own"}, "verbosity": "low"});
    let body = given(Dialect::OpenaiResponses, json!({"text": own}));
    assert_eq!(body["text"], own);
    let body = given(
        Dialect::OpenaiResponses,
        json!({"text": {"verbosity": "low"}}),
    );
    assert_eq!(body["text"]["verbosity"], "low");
    assert_eq!(body["text"]["format"]["type"], "json_schema");
    let own = json!({"format": {"type": "json_schema", "schema": {"own": true}}, "effort": "low"});
    let body = given(Dialect::Anthropic, json!({"output_config": own}));
    assert_eq!(body["output_config"], own);
    let body = given(Dialect::Anthropic, json!({"output_config": {"new": 1}}));
    let both = json!({"new": 1, "effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}});
    assert_eq!(body["output_config"], both);
    let older = json!({"type": "json_schema", "schema": {"own": true}});
    let body = given(Dialect::Anthropic, json!({"output_format": older}));
    assert_eq!(body["output_format"], older);
    assert_eq!(body["output_config"], json!({"effort": "high"}));
}

#[test]
fn a_conversation_that_goes_on_is_kept_by_the_provider() {
    let official = Traits {
        official: true,
        ..traits()
    };
    let mut request = full();
    let plain = |request: &ModelRequest, traits: &Traits| {
        let body = written(Dialect::Anthropic, request, "m", traits);
        !body.to_string().contains("cache_control")
    };
    assert!(plain(&request, &official), "nobody said that it goes on");
    request.goes_on = true;
    assert!(plain(&request, &traits()), "not every server knows it");
    let found = written(Dialect::Anthropic, &request, "some-model", &official);
    insta::assert_json_snapshot!("request-anthropic-goes_on", found);
}

#[test]
fn models_are_told_to_think_in_their_own_way() {
    let table = Table::read(None).unwrap();
    let cases = [
        (
            Dialect::Anthropic,
            ProviderKind::Anthropic,
            "claude-haiku-4-5",
        ),
        (Dialect::Anthropic, ProviderKind::Anthropic, "claude-opus-5"),
        (Dialect::OpenaiChat, ProviderKind::OpenaiChat, "gpt-5-mini"),
        (Dialect::OpenaiChat, ProviderKind::OpenaiChat, "gpt-5.1"),
        (Dialect::OpenaiChat, ProviderKind::OpenaiChat, "gpt-4o"),
        (
            Dialect::OpenaiResponses,
            ProviderKind::OpenaiResponses,
            "gpt-5.1",
        ),
        (
            Dialect::OpenaiResponses,
            ProviderKind::OpenaiResponses,
            "o3",
        ),
    ];
    let mut told = serde_json::Map::new();
    for (dialect, kind, model) in cases {
        for level in caxton_core::model::Thinking::ALL {
            let mut request = support::least();
            request.thinking = Some(level);
            request.output_tokens_max = 40_000;
            request.temperature = Some(0.3);
            let traits = table.traits(kind, model);
            let body = written(dialect, &request, model, &traits)["body"].take();
            let knobs = [
                "thinking",
                "output_config",
                "reasoning_effort",
                "reasoning",
                "include",
                "temperature",
                "max_tokens",
            ];
            let said: Vec<String> = knobs
                .iter()
                .filter_map(|knob| Some(format!("{knob}: {}", body.get(knob)?)))
                .collect();
            told.insert(
                format!("{model} {dialect:?} {}", level.as_str()),
                said.join(", ").into(),
            );
        }
    }
    insta::assert_json_snapshot!("thinking", told);
}

#[test]
fn what_only_one_dialect_has_goes_to_it_alone_and_overrides_nothing() {
    for (dialect, _) in DIALECTS {
        for (of, _) in DIALECTS {
            let mut request = full();
            let extra = json!({"seed": 7, "model": "evil", "stream": false});
            request.extra = Some((of, extra.as_object().unwrap().clone()));
            let outgoing = translate::request(dialect, &request, "m", &traits());
            let text = String::from_utf8(outgoing.body).unwrap();
            assert_eq!(text.contains("\"seed\":7"), dialect == of);
            assert_eq!(text.matches("\"stream\":").count(), 1);
            assert_eq!(text.matches("\"model\":").count(), 1);
        }
    }
}

/// A reply as it would be kept, and the kinds of events that it came in.
#[test]
fn recorded_streams_become_replies() {
    let streams = streams();
    assert!(streams.len() > 20, "{}", streams.len());
    for (dialect, name, bytes) in streams {
        let (events, fault) = decode(dialect, [&*bytes]);
        let mut reply = ModelReply::default();
        for event in &events {
            reply.apply(event).unwrap();
        }
        let texts = events
            .iter()
            .filter(|it| matches!(it, ModelEvent::Text(_)))
            .count();
        let snapshot = json!({
            "reply": reply,
            "events": events.len(),
            "texts": texts,
            "fault": fault.map(|it| (it.kind, it.detail, it.status)),
        });
        insta::assert_json_snapshot!(format!("stream-{name}"), snapshot);
    }
}

/// A provider that ignores `stream` answers with the whole: the reply is that of the stream.
#[test]
fn an_answer_that_is_not_streamed_is_the_same_reply() {
    let whole = [
        (
            Dialect::OpenaiChat,
            json!({"id": "c", "model": "m", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi", "reasoning_content": "hm", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]}, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}),
        ),
        (
            Dialect::Anthropic,
            json!({"id": "c", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "Hi"}, {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}], "stop_reason": "tool_use", "usage": {"input_tokens": 5, "output_tokens": 7}}),
        ),
        (
            Dialect::OpenaiResponses,
            json!({"id": "c", "object": "response", "model": "m", "status": "completed", "output": [{"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]}, {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}, {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{\"a\":1}"}], "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}}),
        ),
    ];
    for (dialect, body) in whole {
        let mut out = caxton_llm::wire::Events::new();
        let mut decoder = translate::decoder(dialect);
        decoder
            .whole(body.to_string().as_bytes(), &mut out)
            .unwrap();
        decoder.end(&mut out).unwrap();
        let mut reply = ModelReply::default();
        for event in &out {
            reply.apply(event).unwrap();
        }
        let calls: Vec<_> = reply
            .tool_calls()
            .map(|(id, name, it)| format!("{id} {name} {it}"))
            .collect();
        assert_eq!(
            (
                reply.id.as_str(),
                reply.model.as_str(),
                reply.text().as_str()
            ),
            ("c", "m", "Hi")
        );
        assert_eq!(calls, [r#"1 f {"a":1}"#], "{dialect:?}");
        assert_eq!(reply.stop, Some(caxton_core::model::StopReason::ToolCalls));
        let usage = reply.usage.unwrap();
        assert_eq!((usage.input, usage.output, usage.estimated), (5, 7, false));
        assert!(
            matches!(&reply.parts[0], caxton_core::model::Part::Thinking { text, .. } if text == "hm")
        );
    }
}
