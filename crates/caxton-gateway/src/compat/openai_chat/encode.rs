//! A turn as a completion, whole or in chunks.

use caxton_core::model::{Part, StopReason, Tokens};
use caxton_core::session::{TurnEvent, TurnId, TurnOutcome};
use serde::Serialize;
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

/// One chunk. Most of an answer is made of these, so that they are written without a tree between.
#[derive(Serialize)]
struct Chunk<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: C,
    /// `null` in each chunk before the one that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
}

#[derive(Serialize)]
struct Choice<D> {
    index: u32,
    delta: D,
    logprobs: (),
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Content<'a> {
    content: &'a str,
}

#[derive(Serialize)]
struct Reasoning<'a> {
    reasoning_content: &'a str,
}

/// A turn in chunks.
#[derive(Debug)]
pub(crate) struct Stream {
    of: Of,
    id: String,
    include_usage: bool,
    /// Texts only tell whether there were some.
    said: Vec<Part>,
}

impl Stream {
    pub(crate) fn new(of: Of, include_usage: bool) -> Self {
        Self {
            id: id(of.turn),
            of,
            include_usage,
            said: Vec::new(),
        }
    }

    pub(crate) fn event(&mut self, event: &TurnEvent, out: &mut Blocks) {
        match event {
            TurnEvent::Started { .. } => {
                self.delta(json!({"role": "assistant", "content": ""}), None, out);
            }
            TurnEvent::Text { text } => {
                if self.said.is_empty() {
                    self.said.push(Part::text(""));
                }
                self.delta(Content { content: text }, None, out);
            }
            TurnEvent::Thinking { text } => {
                let delta = Reasoning {
                    reasoning_content: text,
                };
                self.delta(delta, None, out);
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
            self.delta(delta, None, out);
        }
        self.delta(json!({}), Some(finish(outcome)), out);
        if self.include_usage {
            let usage = Some(usage(&outcome.usage));
            let chunk = Chunk {
                usage,
                ..self.chunk([(); 0])
            };
            out.event(None, &chunk);
        }
        out.text("[DONE]");
    }

    fn delta(&self, delta: impl Serialize, finish: Option<&'static str>, out: &mut Blocks) {
        let choice = Choice {
            index: 0,
            delta,
            logprobs: (),
            finish_reason: finish,
        };
        out.event(None, &self.chunk([choice]));
    }

    fn chunk<C>(&self, choices: C) -> Chunk<'_, C> {
        Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: created(self.of.turn),
            model: &self.of.model,
            choices,
            usage: self.include_usage.then_some(Value::Null),
        }
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
