//! A turn as a response, whole or as the events of one.

use caxton_core::model::{Part, StopReason, Tokens};
use caxton_core::session::{TurnEvent, TurnFailure, TurnId, TurnOutcome};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::items::{Item, summary_part, text_part};
use crate::compat::answer::{Gathered, Of, rest, stop};
use crate::compat::blocks::{Blocks, put};
use crate::compat::error;
use crate::compat::openai_chat::created;

/// What an answer repeats of its request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) instructions: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) store: bool,
    pub(crate) metadata: Value,
    pub(crate) tools: Value,
    pub(crate) tool_choice: Value,
    pub(crate) parallel_calls: bool,
    pub(crate) text: Option<Value>,
    pub(crate) reasoning: Option<Value>,
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
}

/// The whole answer.
pub(crate) fn answer(of: &Of, shape: &Shape, gathered: &Gathered, outcome: &TurnOutcome) -> Value {
    let items = gathered.parts.iter().filter_map(Item::of).enumerate();
    let items: Vec<Value> = items.map(|(n, item)| item.done(of.turn, n)).collect();
    completed(of, shape, &items, outcome)
}

fn completed(of: &Of, shape: &Shape, items: &[Value], outcome: &TurnOutcome) -> Value {
    let mut response = response(of, shape, "completed", items);
    let incomplete = match stop(outcome) {
        StopReason::MaxTokens => Some("max_output_tokens"),
        StopReason::Refusal => Some("content_filter"),
        _ => None,
    };
    if let Some(reason) = incomplete {
        put(&mut response, "status", json!("incomplete"));
        put(
            &mut response,
            "incomplete_details",
            json!({ "reason": reason }),
        );
    }
    put(&mut response, "usage", usage(&outcome.usage));
    response
}

/// The answer of a turn that failed.
pub(crate) fn failed(of: &Of, shape: &Shape, items: &[Value], failure: &TurnFailure) -> Value {
    let mut response = response(of, shape, "failed", items);
    let error = of.failed(failure);
    put(
        &mut response,
        "error",
        json!({
            "code": error.code.as_str(),
            "message": error.to_string(),
            "trace_id": error.trace_id,
        }),
    );
    put(&mut response, "usage", usage(&failure.usage));
    response
}

fn response(of: &Of, shape: &Shape, status: &str, output: &[Value]) -> Value {
    let text = || json!({"format": {"type": "text"}});
    let reasoning = || json!({"effort": null, "summary": null});
    json!({
        "id": id(of.turn),
        "object": "response",
        "created_at": created(of.turn),
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": shape.instructions,
        "max_output_tokens": shape.max_output_tokens,
        "metadata": shape.metadata,
        "model": of.model,
        "output": output,
        "parallel_tool_calls": shape.parallel_calls,
        "previous_response_id": shape.previous,
        "reasoning": shape.reasoning.clone().unwrap_or_else(reasoning),
        "store": shape.store,
        "temperature": shape.temperature,
        "text": shape.text.clone().unwrap_or_else(text),
        "tool_choice": shape.tool_choice,
        "tools": shape.tools,
        "top_p": shape.top_p,
        "truncation": "disabled",
        "usage": null,
    })
}

/// More of a text. Most of an answer is made of these, so that they are written without a tree between.
#[derive(Serialize)]
struct TextDelta<'a> {
    item_id: &'a str,
    output_index: usize,
    content_index: u32,
    delta: &'a str,
    logprobs: [(); 0],
    r#type: &'a str,
    sequence_number: u64,
}

#[derive(Serialize)]
struct SummaryDelta<'a> {
    item_id: &'a str,
    output_index: usize,
    summary_index: u32,
    delta: &'a str,
    r#type: &'a str,
    sequence_number: u64,
}

/// A turn as events.
#[derive(Debug)]
pub(crate) struct Stream {
    of: Of,
    shape: Shape,
    sequence: u64,
    begun: bool,
    /// The item that is being written, and its id.
    open: Option<Item>,
    open_id: String,
    /// Items that are whole.
    items: Vec<Value>,
    said: Vec<Part>,
}

impl Stream {
    pub(crate) fn new(of: Of, shape: Shape) -> Self {
        Self {
            of,
            shape,
            sequence: 0,
            begun: false,
            open: None,
            open_id: String::new(),
            items: Vec::new(),
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
            TurnEvent::Thinking { text } => self.thinking(text, out),
            TurnEvent::Completed(outcome) => {
                self.begin(out);
                let left: Vec<Part> = rest(&self.said, outcome).collect();
                for part in left {
                    match Item::of(&part) {
                        Some(Item::Message(text)) => self.text(&text, out),
                        Some(call) => self.call(&call, out),
                        None => {}
                    }
                }
                self.close(out);
                let response = completed(&self.of, &self.shape, &self.items, outcome);
                let name = match response.get("status").and_then(Value::as_str) {
                    Some("incomplete") => "response.incomplete",
                    _ => "response.completed",
                };
                self.tell(name, json!({ "response": response }), out);
            }
            TurnEvent::Failed(failure) => {
                if self.begun {
                    self.close(out);
                    let response = failed(&self.of, &self.shape, &self.items, failure);
                    self.tell("response.failed", json!({ "response": response }), out);
                } else {
                    let error = error::openai(&self.of.failed(failure));
                    let told = error.get("error").cloned().unwrap_or_default();
                    self.tell("error", told, out);
                }
            }
            _ => {}
        }
    }

    /// One event: its name is its type, and its number goes up.
    fn tell(&mut self, name: &str, mut data: Value, out: &mut Blocks) {
        put(&mut data, "type", json!(name));
        put(&mut data, "sequence_number", json!(self.sequence));
        self.sequence += 1;
        out.event(Some(name), &data);
    }

    fn begin(&mut self, out: &mut Blocks) {
        if self.begun {
            return;
        }
        self.begun = true;
        for name in ["response.created", "response.in_progress"] {
            let response = response(&self.of, &self.shape, "in_progress", &[]);
            self.tell(name, json!({ "response": response }), out);
        }
    }

    /// What every event of the item that is being written says.
    fn here(&self, item: &Item) -> Value {
        let index = self.items.len();
        json!({"item_id": item.id(self.of.turn, index), "output_index": index})
    }

    fn open(&mut self, item: Item, out: &mut Blocks) {
        self.begin(out);
        self.close(out);
        let index = self.items.len();
        let begun = item.begun(self.of.turn, index);
        let added = json!({"output_index": index, "item": begun});
        self.tell("response.output_item.added", added, out);
        let mut part = self.here(&item);
        match item {
            Item::Message(_) => {
                put(&mut part, "content_index", json!(0));
                put(&mut part, "part", text_part(""));
                self.tell("response.content_part.added", part, out);
            }
            Item::Reasoning(_) => {
                put(&mut part, "summary_index", json!(0));
                put(&mut part, "part", summary_part(""));
                self.tell("response.reasoning_summary_part.added", part, out);
            }
            Item::Call { .. } => {}
        }
        self.open_id = item.id(self.of.turn, index);
        self.open = Some(item);
    }

    fn text(&mut self, more: &str, out: &mut Blocks) {
        if !matches!(self.open, Some(Item::Message(_))) {
            self.open(Item::Message(String::new()), out);
        }
        if let Some(Item::Message(text)) = &mut self.open {
            text.push_str(more);
        }
        let name = "response.output_text.delta";
        let delta = TextDelta {
            item_id: &self.open_id,
            output_index: self.items.len(),
            content_index: 0,
            delta: more,
            logprobs: [],
            r#type: name,
            sequence_number: self.sequence,
        };
        self.sequence += 1;
        out.event(Some(name), &delta);
    }

    fn thinking(&mut self, more: &str, out: &mut Blocks) {
        if !matches!(self.open, Some(Item::Reasoning(_))) {
            self.open(Item::Reasoning(String::new()), out);
        }
        if let Some(Item::Reasoning(text)) = &mut self.open {
            text.push_str(more);
        }
        let name = "response.reasoning_summary_text.delta";
        let delta = SummaryDelta {
            item_id: &self.open_id,
            output_index: self.items.len(),
            summary_index: 0,
            delta: more,
            r#type: name,
            sequence_number: self.sequence,
        };
        self.sequence += 1;
        out.event(Some(name), &delta);
    }

    fn call(&mut self, call: &Item, out: &mut Blocks) {
        self.open(call.clone(), out);
        let Item::Call { arguments, .. } = call else {
            return;
        };
        let mut delta = self.here(call);
        put(&mut delta, "delta", json!(arguments));
        self.tell("response.function_call_arguments.delta", delta, out);
        self.close(out);
    }

    /// Ends the item that is being written.
    fn close(&mut self, out: &mut Blocks) {
        let Some(item) = self.open.take() else {
            return;
        };
        let here = self.here(&item);
        match &item {
            Item::Message(text) => {
                let mut done = here.clone();
                put(&mut done, "content_index", json!(0));
                put(&mut done, "text", json!(text));
                put(&mut done, "logprobs", json!([]));
                self.tell("response.output_text.done", done, out);
                let mut part = here;
                put(&mut part, "content_index", json!(0));
                put(&mut part, "part", text_part(text));
                self.tell("response.content_part.done", part, out);
            }
            Item::Reasoning(text) => {
                let mut done = here.clone();
                put(&mut done, "summary_index", json!(0));
                put(&mut done, "text", json!(text));
                self.tell("response.reasoning_summary_text.done", done, out);
                let mut part = here;
                put(&mut part, "summary_index", json!(0));
                put(&mut part, "part", summary_part(text));
                self.tell("response.reasoning_summary_part.done", part, out);
            }
            Item::Call {
                name, arguments, ..
            } => {
                let mut done = here;
                put(&mut done, "name", json!(name));
                put(&mut done, "arguments", json!(arguments));
                self.tell("response.function_call_arguments.done", done, out);
            }
        }
        let index = self.items.len();
        let whole = item.done(self.of.turn, index);
        let done = json!({"output_index": index, "item": whole});
        self.tell("response.output_item.done", done, out);
        self.items.push(whole);
    }
}

fn id(turn: TurnId) -> String {
    format!("resp_{turn}")
}

fn usage(tokens: &Tokens) -> Value {
    json!({
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cache_read},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.thinking},
        "total_tokens": tokens.total(),
    })
}
