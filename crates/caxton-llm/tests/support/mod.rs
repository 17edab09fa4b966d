//! Requests and recorded streams that several tests look at.
#![allow(dead_code, clippy::indexing_slicing, clippy::unwrap_used)]

use caxton_core::model::{
    ChatMessage, ChatRole, Dialect, Image, ModelEvent, ModelFault, ModelRequest, Part, SystemMark,
    Thinking, ToolChoice, ToolSpec,
};
use caxton_llm::sse::{Reader, TooLarge};
use caxton_llm::translate;
use caxton_llm::wire::{self, Events};
use serde_json::{Value, json};
use std::path::PathBuf;

pub const DIALECTS: [(Dialect, &str); 3] = [
    (Dialect::Anthropic, "anthropic"),
    (Dialect::OpenaiChat, "openai_chat"),
    (Dialect::OpenaiResponses, "openai_responses"),
];

fn message(role: ChatRole, parts: Vec<Part>) -> ChatMessage {
    ChatMessage { role, parts }
}

/// One request with all that a conversation can have, in a round of tools.
pub fn full() -> ModelRequest {
    let picture = Part::Image {
        image: Image::Data {
            media_type: "image/png".to_owned(),
            data: "iVBORw0KGgo=".to_owned(),
        },
    };
    let linked = Part::Image {
        image: Image::Url("https://example.org/cat.png".to_owned()),
    };
    let other = |dialect, value| Part::Other { dialect, value };
    let mut request = ModelRequest::new(
        vec![
            message(
                ChatRole::User,
                vec![Part::text("What is in these?"), picture.clone(), linked],
            ),
            message(
                ChatRole::Assistant,
                vec![
                    Part::Thinking {
                        text: "Let me look.".to_owned(),
                        signature: Some("c2lnbmVk".to_owned()),
                    },
                    other(
                        Dialect::Anthropic,
                        json!({"type": "redacted_thinking", "data": "eA=="}),
                    ),
                    other(
                        Dialect::OpenaiResponses,
                        json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "eA=="}),
                    ),
                    Part::text("A cat."),
                    Part::ToolCall {
                        id: "call_1".to_owned(),
                        name: "weather".to_owned(),
                        arguments: json!({"city": "Kiel"}),
                    },
                    Part::ToolCall {
                        id: "call.2".to_owned(),
                        name: "camera".to_owned(),
                        arguments: json!("{oops"),
                    },
                ],
            ),
            message(
                ChatRole::User,
                vec![
                    Part::text("And now?"),
                    Part::ToolResult {
                        id: "call_1".to_owned(),
                        parts: vec![Part::text("rain")],
                        is_error: true,
                    },
                    Part::ToolResult {
                        id: "call.2".to_owned(),
                        parts: vec![Part::text("see "), picture],
                        is_error: false,
                    },
                ],
            ),
        ],
        8_000,
    );
    request.system = "Be brief.".to_owned();
    request.tools = vec![
        ToolSpec::new(
            "weather",
            "Tells the weather.",
            json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}),
        ),
        ToolSpec::new("camera", "", json!({"type": "object", "properties": {}})),
    ];
    request.thinking = Some(Thinking::Low);
    request.temperature = Some(0.5);
    request.top_p = Some(0.9);
    request.stop = vec!["END".to_owned()];
    request
}

/// One whose client gave fields that only this dialect has, wherever it may.
pub fn own(dialect: Dialect) -> ModelRequest {
    let map = |value: Value| value.as_object().cloned().unwrap_or_default();
    let extra = |value| Part::Extra {
        dialect,
        fields: map(value),
    };
    let keep = || extra(json!({"cache_control": {"type": "ephemeral"}}));
    let mut request = full();
    request.messages[0].parts.splice(1..1, [keep()]);
    request.messages[0]
        .parts
        .push(extra(json!({"detail": "low"})));
    request.messages[1].parts.push(keep());
    request.messages[2].parts.push(keep());
    request.messages.push(message(
        ChatRole::User,
        // Of a part that is left out, nothing is left.
        vec![Part::text("And"), Part::text(""), keep()],
    ));
    request.system = "Be brief.\n\nBe kind.\n\nThe rest.".to_owned();
    let marked = |text: &str, ttl: &str| SystemMark {
        end: request.system.find(text).unwrap() + text.len(),
        extra: (
            dialect,
            map(json!({"cache_control": {"type": "ephemeral", "ttl": ttl}})),
        ),
    };
    request.system_marks = vec![marked("brief.", "1h"), marked("kind.", "5m")];
    request.tools[0].extra = Some((dialect, map(json!({"strict": true}))));
    request.extra = Some((dialect, map(json!({"some_new_field": [1]}))));
    request.goes_on = true;
    request
}

/// The smallest.
pub fn least() -> ModelRequest {
    ModelRequest::new(vec![ChatMessage::user("Hello")], 100)
}

/// Requests by name.
pub fn requests() -> Vec<(&'static str, ModelRequest)> {
    let mut forced = least();
    forced.tools = full().tools;
    forced.tool_choice = ToolChoice::Named("weather".to_owned());
    forced.thinking = Some(Thinking::High);
    forced.output_tokens_max = 32_000;
    forced.temperature = Some(1.0);
    let mut thinks = least();
    thinks.thinking = Some(Thinking::High);
    thinks.output_tokens_max = 4_000;
    thinks.temperature = Some(0.2);
    let mut odd = ModelRequest::new(
        vec![
            ChatMessage::user("one"),
            ChatMessage::user(""),
            ChatMessage::user("two"),
            ChatMessage::assistant(""),
            message(
                ChatRole::Assistant,
                vec![Part::Thinking {
                    text: "unsigned".to_owned(),
                    signature: None,
                }],
            ),
            ChatMessage::user("three"),
            ChatMessage::assistant("The answer is  \n"),
        ],
        100,
    );
    odd.tool_choice = ToolChoice::Required;
    vec![
        ("full", full()),
        ("least", least()),
        ("forced", forced),
        ("thinks", thinks),
        ("odd", odd),
    ]
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/streams")
}

/// All recorded streams: dialect, name, bytes.
pub fn streams() -> Vec<(Dialect, String, Vec<u8>)> {
    let mut all = Vec::new();
    for (dialect, name) in DIALECTS {
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder().join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            let stem = file.file_stem().unwrap().to_str().unwrap();
            all.push((
                dialect,
                format!("{name}-{stem}"),
                std::fs::read(&file).unwrap(),
            ));
        }
    }
    all
}

/// What ends the feeding of a decoder.
struct Stop(Option<ModelFault>);

impl From<TooLarge> for Stop {
    fn from(_: TooLarge) -> Self {
        Self(None)
    }
}

/// All events of a stream in pieces, and the fault that ended it.
pub fn decode<'a>(
    dialect: Dialect,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<ModelEvent>, Option<ModelFault>) {
    let mut reader = Reader::default();
    let mut decoder = translate::decoder(dialect);
    let mut out = Events::new();
    let mut fault = None;
    for piece in pieces {
        let fed = reader.feed(piece, |event| {
            decoder
                .event(event, &mut out)
                .map_err(|fault| Stop(Some(fault)))
        });
        if let Err(Stop(found)) = fed {
            fault = found;
            break;
        }
    }
    if fault.is_none() {
        fault = wire::finish(&mut reader, &mut *decoder, &mut out).err();
    }
    (out.into(), fault)
}
