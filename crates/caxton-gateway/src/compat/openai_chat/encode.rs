//! A turn as a completion, whole or in chunks.

use caxton_core::model::{Part, StopReason, Tokens};
use caxton_core::session::{TurnEvent, TurnId, TurnOutcome};
use serde_json::{Value, json};

use crate::compat::answer::{Gathered, Of, rest, stop};
use crate::compat::blocks::{Blocks, put};
use crate::compat::error;

/// The whole answer.
pub(crate) fn answer(of: &Of, gathered: &Gathered, outcome: &TurnOutcome) -> Value {
    let mut text = String::new();
    let (mut reasoning, mut calls) = (String::new(), Vec::new());
    for part in &gathered.parts {
        match part {
            Part::Text { text: more } => text.push_str(more),
            Part::Thinking { text: more, .. } => reasoning.push_str(more),
            Part::ToolCall { .. } => calls.extend(call(part)),
            _ => {}
        }
    }
    let content = match text.is_empty() && !calls.is_empty() {
        true => Value::Null,
        false => json!(text),
    };
    let mut message = json!({"role": "assistant", "content": content, "refusal": null});
    if !reasoning.is_empty() {
        put(&mut message, "reasoning_content", json!(reasoning));
    }
    if !calls.is_empty() {
        put(&mut message, "tool_calls", json!(calls));
    }
    json!({
        "id": id(of.turn),
        "object": "chat.completion",
        "created": created(of.turn),
        "model": of.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish(outcome),
        }],
        "usage": usage(&outcome.usage),
    })
}

/// A turn in chunks.
#[derive(Debug)]
pub(crate) struct Stream {
    of: Of,
    include_usage: bool,
    /// Texts only tell whether there were some.
    said: Vec<Part>,
}

impl Stream {
    pub(crate) fn new(of: Of, include_usage: bool) -> Self {
        Self {
            of,
            include_usage,
            said: Vec::new(),
        }
    }

    pub(crate) fn event(&mut self, event: &TurnEvent, out: &mut Blocks) {
        match event {
            TurnEvent::Started { .. } => {
                self.delta(
                    json!({"role": "assistant", "content": ""}),
                    Value::Null,
                    out,
                );
            }
            TurnEvent::Text { text } => {
                if self.said.is_empty() {
                    self.said.push(Part::text(""));
                }
                self.delta(json!({ "content": text }), Value::Null, out);
            }
            TurnEvent::Thinking { text } => {
                self.delta(json!({ "reasoning_content": text }), Value::Null, out);
            }
            TurnEvent::Completed(outcome) => self.completed(outcome, out),
            TurnEvent::Failed(failure) => {
                out.event(None, &error::openai(&self.of.failed(failure)));
            }
            _ => {}
        }
    }

    fn completed(&self, outcome: &TurnOutcome, out: &mut Blocks) {
        let mut index = 0;
        for part in rest(&self.said, outcome) {
            let delta = match (&part, call(&part)) {
                (Part::Text { text }, _) => json!({ "content": text }),
                (_, Some(mut call)) => {
                    put(&mut call, "index", json!(index));
                    index += 1;
                    json!({ "tool_calls": [call] })
                }
                _ => continue,
            };
            self.delta(delta, Value::Null, out);
        }
        self.delta(json!({}), json!(finish(outcome)), out);
        if self.include_usage {
            let mut chunk = self.chunk(json!([]));
            put(&mut chunk, "usage", usage(&outcome.usage));
            out.event(None, &chunk);
        }
        out.text("[DONE]");
    }

    fn delta(&self, delta: Value, finish: Value, out: &mut Blocks) {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        out.event(None, &self.chunk(json!([choice])));
    }

    fn chunk(&self, choices: Value) -> Value {
        let mut chunk = json!({
            "id": id(self.of.turn),
            "object": "chat.completion.chunk",
            "created": created(self.of.turn),
            "model": self.of.model,
            "choices": choices,
        });
        if self.include_usage {
            put(&mut chunk, "usage", Value::Null);
        }
        chunk
    }
}

fn id(turn: TurnId) -> String {
    format!("chatcmpl-{turn}")
}

/// Seconds since 1970, of the turn: the same each time it is told.
pub(crate) fn created(turn: TurnId) -> u64 {
    turn.as_ms() / 1000
}

fn call(part: &Part) -> Option<Value> {
    let Part::ToolCall {
        id,
        name,
        arguments,
    } = part
    else {
        return None;
    };
    let function = json!({"name": name, "arguments": argument_text(arguments)});
    Some(json!({"id": id, "type": "function", "function": function}))
}

/// Arguments as the dialect has them: JSON as text; a text that was none stays what it was.
pub(crate) fn argument_text(arguments: &Value) -> String {
    match arguments {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn finish(outcome: &TurnOutcome) -> &'static str {
    match stop(outcome) {
        StopReason::End | StopReason::StopSequence | StopReason::Other(_) => "stop",
        StopReason::ToolCalls => "tool_calls",
        StopReason::MaxTokens => "length",
        StopReason::Refusal => "content_filter",
    }
}

fn usage(tokens: &Tokens) -> Value {
    json!({
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.total(),
        "prompt_tokens_details": {"cached_tokens": tokens.cache_read},
        "completion_tokens_details": {"reasoning_tokens": tokens.thinking},
    })
}
