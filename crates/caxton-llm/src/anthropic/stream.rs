//! A stream of Anthropic Messages.

use crate::fault::Said;
use crate::json::{Text, count};
use crate::sse::Event;
use crate::template::{Slot, Template};
use crate::wire::{Decode, Events, ended_early, malformed, unreadable};
use caxton_core::model::{Dialect, ModelEvent, ModelFault, Part, StopReason, Tokens};
use serde::Deserialize;
use serde_json::Value;

/// Blocks of one answer.
const BLOCKS_MAX: usize = 1_024;
/// Bytes that are kept of a block whose kind is not known.
const OTHER_BYTES_MAX: usize = 1 << 20;

/// Reads one answer.
#[derive(Debug, Default)]
pub struct Decoder {
    begun: bool,
    /// Blocks that have begun and not ended, by the provider's index.
    open: Vec<(u32, Block)>,
    blocks: usize,
    calls: u32,
    usage: Usage,
    stop: Option<StopReason>,
    template: Template,
    done: bool,
}

#[derive(Debug)]
enum Block {
    /// Text, and thinking.
    Plain,
    /// A tool call, by the index given out; with what of its input came at its beginning.
    Call {
        index: u32,
        input: Option<Value>,
        written: bool,
    },
    /// Kept as it comes, with pieces of its input.
    Other { value: Value, json: String },
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(default)]
    content_block: Option<Value>,
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    thinking: Option<Text<'a>>,
    #[serde(borrow, default)]
    signature: Option<Text<'a>>,
    #[serde(borrow, default)]
    partial_json: Option<Text<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Text<'a>>,
}

/// A whole answer, or the head of one.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    content: Vec<Value>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Debug, Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(default)]
struct Usage {
    #[serde(deserialize_with = "count")]
    input_tokens: u64,
    #[serde(deserialize_with = "count")]
    output_tokens: u64,
    #[serde(deserialize_with = "count")]
    cache_creation_input_tokens: u64,
    #[serde(deserialize_with = "count")]
    cache_read_input_tokens: u64,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(default)]
struct OutputDetails {
    #[serde(deserialize_with = "count")]
    thinking_tokens: u64,
}

impl Usage {
    /// The sums so far: a later count that says 0 says nothing.
    fn with(self, later: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.max(later.input_tokens),
            output_tokens: self.output_tokens.max(later.output_tokens),
            cache_creation_input_tokens: self
                .cache_creation_input_tokens
                .max(later.cache_creation_input_tokens),
            cache_read_input_tokens: self
                .cache_read_input_tokens
                .max(later.cache_read_input_tokens),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
        }
    }

    fn tokens(self, estimated: bool) -> Tokens {
        let (read, write) = (
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
        );
        let thinking = self
            .output_tokens_details
            .map_or(0, |it| it.thinking_tokens);
        Tokens {
            // The provider counts what went through its cache apart.
            input: self.input_tokens + read + write,
            output: self.output_tokens,
            cache_read: read,
            cache_write: write,
            thinking: thinking.min(self.output_tokens),
            estimated,
        }
    }
}

impl Decode for Decoder {
    fn event(&mut self, event: Event<'_>, out: &mut Events) -> Result<(), ModelFault> {
        let data = event.data.trim_ascii();
        if self.done || data.is_empty() {
            return Ok(());
        }
        if let Some(found) = self.template.apply(data) {
            out.push_back(found);
            return Ok(());
        }
        let line: Line<'_> = serde_json::from_slice(data).map_err(|error| unreadable(&error))?;
        self.line(line, data, out)
    }

    fn whole(&mut self, body: &[u8], out: &mut Events) -> Result<(), ModelFault> {
        let value: Value = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
        if value.get("error").is_some_and(|it| !it.is_null()) {
            return Err(Said::of(&value).fault(None));
        }
        if value.get("content").is_none() {
            return Err(ended_early(false));
        }
        let mut message: Message =
            serde_json::from_value(value).map_err(|error| unreadable(&error))?;
        let content = std::mem::take(&mut message.content);
        let stop = message.stop_reason.take();
        let usage = message.usage.take();
        self.start(message, out);
        for (index, block) in (0..).zip(content) {
            self.begin(index, block, out)?;
            self.finish_block(index, out);
        }
        self.add_usage(usage, false, out);
        self.stop = stop.as_deref().map(stop_of);
        Ok(())
    }

    fn end(&mut self, out: &mut Events) -> Result<(), ModelFault> {
        if self.done {
            return Ok(());
        }
        if self.stop.is_none() {
            return Err(ended_early(self.begun));
        }
        self.finish(out);
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

impl Decoder {
    fn line(&mut self, line: Line<'_>, data: &[u8], out: &mut Events) -> Result<(), ModelFault> {
        match &*line.r#type {
            "content_block_delta" => match line.delta {
                Some(delta) => self.delta(line.index, delta, data, out),
                None => Err(malformed("a delta without content")),
            },
            "content_block_start" => match line.content_block {
                Some(block) => self.begin(line.index, block, out),
                None => Err(malformed("a block without content")),
            },
            "content_block_stop" => {
                self.finish_block(line.index, out);
                Ok(())
            }
            "message_start" => {
                if let Some(mut message) = line.message {
                    let usage = message.usage.take();
                    self.start(message, out);
                    self.add_usage(usage, true, out);
                }
                Ok(())
            }
            "message_delta" => {
                let reason = line.delta.and_then(|delta| delta.stop_reason);
                if let Some(reason) = reason {
                    self.stop = Some(stop_of(&reason));
                }
                self.add_usage(line.usage, false, out);
                Ok(())
            }
            "message_stop" => {
                if !self.begun {
                    return Err(ended_early(false));
                }
                self.finish(out);
                Ok(())
            }
            "error" => Err(Said::of(&line.error.unwrap_or(Value::Null)).fault(None)),
            // Pings, and what later versions may add.
            _ => Ok(()),
        }
    }

    fn start(&mut self, message: Message, out: &mut Events) {
        self.begun = true;
        out.push_back(ModelEvent::Started {
            id: message.id,
            model: message.model,
        });
    }

    fn add_usage(&mut self, usage: Option<Usage>, estimated: bool, out: &mut Events) {
        let Some(usage) = usage else { return };
        self.usage = self.usage.with(usage);
        out.push_back(ModelEvent::Usage(self.usage.tokens(estimated)));
    }

    fn begin(&mut self, index: u32, mut block: Value, out: &mut Events) -> Result<(), ModelFault> {
        self.begun = true;
        self.blocks += 1;
        if self.blocks > BLOCKS_MAX {
            return Err(malformed(format!("more than {BLOCKS_MAX} blocks")));
        }
        let text = |block: &mut Value, name: &str| match block.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let kind = text(&mut block.clone(), "type");
        let state = match &*kind {
            "text" => {
                push(out, ModelEvent::Text, text(&mut block, "text"));
                Block::Plain
            }
            "thinking" => {
                push(out, ModelEvent::Thinking, text(&mut block, "thinking"));
                push(
                    out,
                    ModelEvent::ThinkingSigned,
                    text(&mut block, "signature"),
                );
                Block::Plain
            }
            "tool_use" => {
                let at = self.calls;
                self.calls += 1;
                out.push_back(ModelEvent::ToolCall {
                    index: at,
                    id: text(&mut block, "id"),
                    name: text(&mut block, "name"),
                });
                Block::Call {
                    index: at,
                    input: block.get_mut("input").map(Value::take),
                    written: false,
                }
            }
            _ => Block::Other {
                value: block,
                json: String::new(),
            },
        };
        self.open.retain(|(it, _)| *it != index);
        self.open.push((index, state));
        Ok(())
    }

    fn delta(
        &mut self,
        index: u32,
        delta: Delta<'_>,
        data: &[u8],
        out: &mut Events,
    ) -> Result<(), ModelFault> {
        let open = self.open.iter_mut().find(|(it, _)| *it == index);
        let Some((_, block)) = open else {
            return Err(malformed("a piece of a block that did not begin"));
        };
        match block {
            Block::Plain => {
                if let Some(text) = delta.text.filter(|it| !it.is_empty()) {
                    self.template
                        .learn(data, Slot::of(data, &text, ModelEvent::Text));
                    out.push_back(ModelEvent::Text(text.into_owned()));
                } else if let Some(text) = delta.thinking.filter(|it| !it.is_empty()) {
                    self.template
                        .learn(data, Slot::of(data, &text, ModelEvent::Thinking));
                    out.push_back(ModelEvent::Thinking(text.into_owned()));
                } else if let Some(text) = delta.signature.filter(|it| !it.is_empty()) {
                    out.push_back(ModelEvent::ThinkingSigned(text.into_owned()));
                }
            }
            Block::Call { index, written, .. } => {
                if let Some(json) = delta.partial_json.filter(|it| !it.is_empty()) {
                    *written = true;
                    out.push_back(ModelEvent::ToolArguments {
                        index: *index,
                        json: json.into_owned(),
                    });
                }
            }
            Block::Other { json, .. } => {
                if let Some(more) = delta.partial_json {
                    if json.len() + more.len() > OTHER_BYTES_MAX {
                        return Err(malformed("a block of an unknown kind is too large"));
                    }
                    json.push_str(&more);
                }
            }
        }
        Ok(())
    }

    fn finish_block(&mut self, index: u32, out: &mut Events) {
        let Some(at) = self.open.iter().position(|(it, _)| *it == index) else {
            return;
        };
        // A frame that was learnt holds for its own block only.
        self.template.forget();
        match self.open.swap_remove(at).1 {
            Block::Plain => {}
            // An answer that is not streamed has the whole input here.
            Block::Call {
                index,
                input: Some(input),
                written: false,
            } => {
                if input.as_object().is_some_and(|it| !it.is_empty()) {
                    let json = input.to_string();
                    out.push_back(ModelEvent::ToolArguments { index, json });
                }
            }
            Block::Call { .. } => {}
            Block::Other { mut value, json } => {
                if let (Ok(input), Some(fields)) =
                    (serde_json::from_str(&json), value.as_object_mut())
                {
                    fields.insert("input".to_owned(), input);
                }
                out.push_back(ModelEvent::Other(Part::Other {
                    dialect: Dialect::Anthropic,
                    value,
                }));
            }
        }
    }

    fn finish(&mut self, out: &mut Events) {
        self.done = true;
        let stop = self.stop.take().unwrap_or(StopReason::End);
        out.push_back(ModelEvent::Finished(stop));
    }
}

fn push(out: &mut Events, make: fn(String) -> ModelEvent, text: String) {
    if !text.is_empty() {
        out.push_back(make(text));
    }
}

fn stop_of(reason: &str) -> StopReason {
    match reason {
        "end_turn" => StopReason::End,
        "tool_use" => StopReason::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence,
        "refusal" => StopReason::Refusal,
        other => StopReason::Other(other.to_owned()),
    }
}
