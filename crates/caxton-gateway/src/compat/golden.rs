//! What the goldens of all dialects are made of: one conversation in each one's words, and the turns
//! that answer it. `UPDATE=1` writes them anew.

use caxton_core::MessageId;
use caxton_core::model::{ModelName, Part, StopReason, Tokens};
use caxton_core::session::{SessionId, TurnEvent, TurnFailure, TurnId, TurnOutcome};
use serde_json::{Value, json};

use super::answer::{Gathered, Of};
use super::asked::Asked;
use super::blocks::Blocks;

/// A turn of the year 2026.
pub(super) fn turn() -> TurnId {
    let mut bytes = [7; 16];
    bytes[..6].copy_from_slice(&1_795_324_162_049_u64.to_be_bytes()[2..]);
    MessageId::from_bytes(bytes)
}

pub(super) fn of() -> Of {
    Of {
        turn: turn(),
        model: "helper".to_owned(),
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
    }
}

fn started() -> TurnEvent {
    TurnEvent::Started {
        session: SessionId::of(turn()),
        agent: "helper".to_owned(),
    }
}

fn text(text: &str) -> TurnEvent {
    let text = text.to_owned();
    TurnEvent::Text { text }
}

fn completed(parts: Vec<Part>, stop: StopReason) -> TurnEvent {
    TurnEvent::Completed(Box::new(TurnOutcome {
        parts,
        agent: "helper".to_owned(),
        model: ModelName::demo(),
        stop,
        usage: Tokens {
            input: 120,
            output: 45,
            cache_read: 20,
            cache_write: 10,
            thinking: 15,
            estimated: false,
        },
        cost_micros: 99,
        calls: 2,
    }))
}

/// The turns that the goldens show, by name.
pub(super) fn turns() -> Vec<(&'static str, Vec<TurnEvent>)> {
    let thought = |text: &str| TurnEvent::Thinking {
        text: text.to_owned(),
    };
    let call = |id: &str| Part::ToolCall {
        id: id.to_owned(),
        name: "weather".to_owned(),
        arguments: json!({"city": "Bonn"}),
    };
    let failed = TurnEvent::Failed(TurnFailure {
        code: "CX-7010".to_owned(),
        detail: "it broke off".to_owned(),
        retry_after_ms: Some(1500),
        usage: Tokens::default(),
        cost_micros: 0,
        calls: 1,
    });
    let own = vec![
        TurnEvent::ToolCall {
            id: "t1".to_owned(),
            name: "clock".to_owned(),
            arguments: json!({}),
        },
        TurnEvent::ToolResult {
            id: "t1".to_owned(),
            name: "clock".to_owned(),
            parts: vec![Part::text("noon")],
            is_error: false,
        },
    ];
    let said = |text: &str| vec![Part::text(text)];
    vec![
        (
            "plain",
            vec![
                started(),
                thought("hm "),
                thought("yes"),
                TurnEvent::ThinkingSigned {
                    signature: "c2lnbmVk".to_owned(),
                },
                TurnEvent::ThinkingRedacted {
                    data: "aGlkZGVu".to_owned(),
                },
                text("Hello \"you\"\n"),
                text("é\u{1f600}"),
                completed(said("Hello \"you\"\né\u{1f600}"), StopReason::End),
            ],
        ),
        (
            "tools",
            vec![
                started(),
                text("Let me look."),
                completed(
                    vec![Part::text("Let me look."), call("c1"), call("c2")],
                    StopReason::ToolCalls,
                ),
            ],
        ),
        (
            "server-tools",
            [
                vec![started(), text("One moment. ")],
                own,
                vec![text("Noon.")],
            ]
            .concat()
            .into_iter()
            .chain([completed(said("Noon."), StopReason::End)])
            .collect(),
        ),
        (
            "at-once-and-cut",
            vec![started(), completed(said("All"), StopReason::MaxTokens)],
        ),
        ("failed", vec![started(), failed.clone()]),
        ("broken", vec![started(), text("Half"), failed]),
    ]
}

/// The turn as events, in one text.
pub(super) fn stream(
    events: &[TurnEvent],
    seen: u64,
    mut encode: impl FnMut(&TurnEvent, &mut Blocks),
) -> String {
    let mut blocks = Blocks::new(turn(), seen);
    let mut out = Vec::new();
    for event in events {
        encode(event, &mut blocks);
        out.extend_from_slice(&blocks.take());
    }
    String::from_utf8(out).unwrap_or_default()
}

/// The turn put together; `None` where it failed.
pub(super) fn whole(events: &[TurnEvent]) -> Option<(Gathered, Box<TurnOutcome>)> {
    let mut gathered = Gathered::default();
    events.iter().for_each(|event| gathered.take(event));
    let outcome = gathered.ended.take()?.ok()?;
    Some((gathered, outcome))
}

/// What is asked, as a golden shows it.
pub(super) fn asked(asked: &Asked) -> Value {
    json!({
        "model": asked.model,
        "stream": asked.stream,
        "system": asked.system,
        "system_marks": asked.system_marks,
        "messages": asked.messages,
        "tools": asked.tools,
        "tool_choice": asked.tool_choice,
        "parallel_calls": asked.parallel_calls,
        "output_tokens_max": asked.output_tokens_max,
        "thinking": asked.thinking,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "stop": asked.stop,
        "extra": asked.extra,
        "form": asked.form,
    })
}

/// Compares with a file beside the dialect's code.
#[track_caller]
pub(super) fn expect(file: &str, found: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/compat");
    let path = path.join(file);
    if std::env::var_os("UPDATE").is_some() {
        if let Some(folder) = path.parent() {
            let _ = std::fs::create_dir_all(folder);
        }
        let _ = std::fs::write(&path, found);
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, found, "{file}; UPDATE=1 writes it anew");
}

pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
