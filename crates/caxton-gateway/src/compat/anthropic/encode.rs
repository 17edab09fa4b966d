//! A turn as a message, whole or as the events of one.

use caxton_core::model::{Part, StopReason, Tokens};
use caxton_core::session::{TurnEvent, TurnId, TurnOutcome};
use serde::Serialize;
use serde_json::{Value, json};

use crate::compat::answer::{Gathered, Of, rest, stop};
use crate::compat::blocks::Blocks;
use crate::compat::error;

/// The whole answer.
pub(crate) fn answer(of: &Of, gathered: &Gathered, outcome: &TurnOutcome) -> Value {
    let content: Vec<Value> = gathered.parts.iter().filter_map(block).collect();
    let (reason, sequence) = reason(outcome);
    json!({
        "id": id(of.turn),
        "type": "message",
        "role": "assistant",
        "model": of.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage(&outcome.usage),
    })
}

/// Which kind of block is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
}

/// More of the block that is open.
#[derive(Serialize)]
#[serde(tag = "type", rename = "content_block_delta")]
struct BlockDelta<'a> {
    index: u32,
    delta: Delta<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Delta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
}

/// A turn as events.
#[derive(Debug)]
pub(crate) struct Stream {
    of: Of,
    begun: bool,
    /// Blocks begun.
    blocks: u32,
    open: Option<Open>,
    /// Texts only tell whether there were some.
    said: Vec<Part>,
}

impl Stream {
    pub(crate) fn new(of: Of) -> Self {
        Self {
            of,
            begun: false,
            blocks: 0,
            open: None,
            said: Vec::new(),
        }
    }

    pub(crate) fn event(&mut self, event: &TurnEvent, out: &mut Blocks) {
        match event {
            TurnEvent::Started { .. } => self.begin(out),
            TurnEvent::Text { text } => {
                if self.said.is_empty() {
                    self.said.push(Part::text(""));
                }
                self.text(text, out);
            }
            TurnEvent::Thinking { text } => {
                self.turn_to(Open::Thinking, out);
                self.delta(Delta::Thinking { thinking: text }, out);
            }
            TurnEvent::ThinkingSigned { signature } => {
                // Where what was thought is not shown the block has nothing else in it.
                self.turn_to(Open::Thinking, out);
                self.delta(Delta::Signature { signature }, out);
                // What is signed is whole: more of it is another block.
                self.close(out);
            }
            TurnEvent::ThinkingRedacted { data } => {
                self.begin(out);
                self.close(out);
                self.start(&json!({"type": "redacted_thinking", "data": data}), out);
                self.stop(out);
            }
            TurnEvent::Completed(outcome) => self.completed(outcome, out),
            TurnEvent::Failed(failure) => {
                let error = error::anthropic(&self.of.failed(failure), None);
                out.event(Some("error"), &error);
            }
            _ => {}
        }
    }

    fn begin(&mut self, out: &mut Blocks) {
        if self.begun {
            return;
        }
        self.begun = true;
        let message = json!({
            "id": id(self.of.turn),
            "type": "message",
            "role": "assistant",
            "model": self.of.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            // What went in is known at the end, and told there.
            "usage": usage(&Tokens::default()),
        });
        let start = json!({"type": "message_start", "message": message});
        out.event(Some("message_start"), &start);
        out.event(Some("ping"), &json!({"type": "ping"}));
    }

    fn text(&mut self, text: &str, out: &mut Blocks) {
        self.turn_to(Open::Text, out);
        self.delta(Delta::Text { text }, out);
    }

    /// Goes on with a block of this kind, or begins one.
    fn turn_to(&mut self, kind: Open, out: &mut Blocks) {
        self.begin(out);
        if self.open == Some(kind) {
            return;
        }
        self.close(out);
        let block = match kind {
            Open::Text => json!({"type": "text", "text": ""}),
            Open::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
        };
        self.start(&block, out);
        self.open = Some(kind);
    }

    fn start(&mut self, block: &Value, out: &mut Blocks) {
        let index = self.blocks;
        self.blocks += 1;
        let start = json!({"type": "content_block_start", "index": index, "content_block": block});
        out.event(Some("content_block_start"), &start);
    }

    fn delta(&self, delta: Delta<'_>, out: &mut Blocks) {
        let index = self.blocks.saturating_sub(1);
        out.event(Some("content_block_delta"), &BlockDelta { index, delta });
    }

    fn stop(&self, out: &mut Blocks) {
        let index = self.blocks.saturating_sub(1);
        let stop = json!({"type": "content_block_stop", "index": index});
        out.event(Some("content_block_stop"), &stop);
    }

    fn close(&mut self, out: &mut Blocks) {
        if self.open.take().is_some() {
            self.stop(out);
        }
    }

    fn completed(&mut self, outcome: &TurnOutcome, out: &mut Blocks) {
        self.begin(out);
        let left: Vec<Part> = rest(&self.said, outcome).collect();
        for part in left {
            match part {
                Part::Text { text } => self.text(&text, out),
                Part::ToolCall {
                    id,
                    name,
                    arguments,
                } => {
                    self.close(out);
                    let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
                    self.start(&block, out);
                    let json = arguments.to_string();
                    let partial_json = &json;
                    self.delta(Delta::InputJson { partial_json }, out);
                    self.stop(out);
                }
                _ => {}
            }
        }
        self.close(out);
        let (reason, sequence) = reason(outcome);
        let delta = json!({
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": sequence},
            "usage": usage(&outcome.usage),
        });
        out.event(Some("message_delta"), &delta);
        out.event(Some("message_stop"), &json!({"type": "message_stop"}));
    }
}

fn id(turn: TurnId) -> String {
    format!("msg_{turn}")
}

fn block(part: &Part) -> Option<Value> {
    Some(match part {
        Part::Text { text } => json!({"type": "text", "text": text}),
        Part::Thinking { text, signature } => json!({
            "type": "thinking",
            "thinking": text,
            "signature": signature.as_deref().unwrap_or_default(),
        }),
        Part::ToolCall {
            id,
            name,
            arguments,
        } => json!({"type": "tool_use", "id": id, "name": name, "input": arguments}),
        Part::Other { value, .. } if part.redacted().is_some() => value.clone(),
        _ => return None,
    })
}

/// Why it ends. Which of the stop sequences it was, no other dialect tells: none is named.
fn reason(outcome: &TurnOutcome) -> (&'static str, Value) {
    let reason = match stop(outcome) {
        StopReason::End | StopReason::Other(_) => "end_turn",
        StopReason::ToolCalls => "tool_use",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence => "stop_sequence",
        StopReason::Refusal => "refusal",
    };
    (reason, Value::Null)
}

/// Here what comes from a cache is counted apart.
fn usage(tokens: &Tokens) -> Value {
    let cached = tokens.cache_read.saturating_add(tokens.cache_write);
    json!({
        "input_tokens": tokens.input.saturating_sub(cached),
        "output_tokens": tokens.output,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation_input_tokens": tokens.cache_write,
    })
}
