//! A stream of Responses.

use crate::fault::Said;
use crate::json::{Text, count};
use crate::sse::Event;
use crate::wire::{Decode, Events, ended_early, malformed, unreadable};
use caxton_core::model::{Dialect, ModelEvent, ModelFault, Part, StopReason, Tokens};
use serde::Deserialize;
use serde_json::Value;

/// Items of one answer.
const ITEMS_MAX: usize = 1_024;

/// Reads one answer.
#[derive(Debug, Default)]
pub struct Decoder {
    begun: bool,
    started: bool,
    refused: bool,
    /// Tool calls that have begun: the provider's index of the item, the index given out, and whether
    /// any arguments came.
    calls: Vec<(u32, u32, bool)>,
    /// Items that have been told of as wholes, or whose text came in pieces.
    items: usize,
    /// Whether text of an item came in pieces.
    streamed: Vec<u32>,
    done: bool,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(default)]
    output_index: u32,
    #[serde(borrow, default)]
    delta: Option<Text<'a>>,
    #[serde(borrow, default)]
    arguments: Option<Text<'a>>,
    #[serde(default)]
    item: Option<Value>,
    #[serde(default)]
    response: Option<Value>,
    /// Of an error, which says it here or in `error`.
    #[serde(borrow, default)]
    message: Option<Text<'a>>,
    #[serde(borrow, default)]
    code: Option<Text<'a>>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Usage {
    #[serde(deserialize_with = "count")]
    input_tokens: u64,
    #[serde(deserialize_with = "count")]
    output_tokens: u64,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InputDetails {
    #[serde(deserialize_with = "count")]
    cached_tokens: u64,
    #[serde(deserialize_with = "count")]
    cache_write_tokens: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OutputDetails {
    #[serde(deserialize_with = "count")]
    reasoning_tokens: u64,
}

impl Usage {
    fn tokens(&self) -> Tokens {
        let (input, output) = (self.input_tokens, self.output_tokens);
        let details = self.input_tokens_details.as_ref();
        let cache_read = details.map_or(0, |it| it.cached_tokens).min(input);
        let thinking = self
            .output_tokens_details
            .as_ref()
            .map_or(0, |it| it.reasoning_tokens);
        Tokens {
            input,
            output,
            cache_read,
            cache_write: details
                .map_or(0, |it| it.cache_write_tokens)
                .min(input - cache_read),
            thinking: thinking.min(output),
            estimated: false,
        }
    }
}

impl Decode for Decoder {
    fn event(&mut self, event: Event<'_>, out: &mut Events) -> Result<(), ModelFault> {
        let data = event.data.trim_ascii();
        if self.done || data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        let line: Line<'_> = serde_json::from_slice(data).map_err(|error| unreadable(&error))?;
        self.line(line, out)
    }

    fn whole(&mut self, body: &[u8], out: &mut Events) -> Result<(), ModelFault> {
        let value: Value = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
        let has_error = value.get("error").is_some_and(|it| !it.is_null());
        if value.get("output").is_none() {
            return Err(if has_error {
                Said::of(&value).fault(None)
            } else {
                ended_early(false)
            });
        }
        let items = value
            .get("output")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        self.start(Some(&value), out);
        for (index, item) in (0..).zip(items) {
            self.begin(index, &item, out)?;
            self.finish_item(index, item, out);
        }
        self.complete(&value, out)
    }

    fn end(&mut self, _out: &mut Events) -> Result<(), ModelFault> {
        if self.done {
            return Ok(());
        }
        Err(ended_early(self.begun))
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

impl Decoder {
    fn line(&mut self, line: Line<'_>, out: &mut Events) -> Result<(), ModelFault> {
        let index = line.output_index;
        let delta = line.delta.filter(|it| !it.is_empty());
        match &*line.r#type {
            "response.output_text.delta" | "response.refusal.delta" => {
                self.refused |= &*line.r#type == "response.refusal.delta";
                if let Some(text) = delta {
                    self.mark(index);
                    out.push_back(ModelEvent::Text(text.into_owned()));
                }
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                if let Some(text) = delta {
                    self.mark(index);
                    out.push_back(ModelEvent::Thinking(text.into_owned()));
                }
            }
            // Summaries are paragraphs; nothing in their text parts them.
            "response.reasoning_summary_part.added" if self.streamed.contains(&index) => {
                out.push_back(ModelEvent::Thinking("\n\n".to_owned()));
            }
            "response.function_call_arguments.delta" => {
                if let Some(json) = delta {
                    self.arguments(index, json.into_owned(), out)?;
                }
            }
            "response.function_call_arguments.done" => {
                let silent = self.calls.iter().any(|(it, _, any)| *it == index && !any);
                if let Some(json) = line.arguments.filter(|it| silent && !it.is_empty()) {
                    self.arguments(index, json.into_owned(), out)?;
                }
            }
            "response.output_item.added" => {
                if let Some(item) = &line.item {
                    self.begin(index, item, out)?;
                }
            }
            "response.output_item.done" => {
                if let Some(item) = line.item {
                    self.finish_item(index, item, out);
                }
            }
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(line.response.as_ref(), out);
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => {
                let response = line.response.unwrap_or(Value::Null);
                self.start(Some(&response), out);
                return self.complete(&response, out);
            }
            "error" => {
                let said = match line.error {
                    Some(error) => Said::of(&error),
                    None => Said {
                        message: line.message.map(Text::into_owned).unwrap_or_default(),
                        code: line.code.map(Text::into_owned).unwrap_or_default(),
                        kind: String::new(),
                    },
                };
                return Err(said.fault(None));
            }
            _ => {}
        }
        Ok(())
    }

    fn mark(&mut self, index: u32) {
        self.begun = true;
        if self.streamed.last() != Some(&index) && !self.streamed.contains(&index) {
            self.streamed.push(index);
        }
    }

    fn start(&mut self, response: Option<&Value>, out: &mut Events) {
        self.begun = true;
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let text = |name: &str| {
            let found = response.and_then(|it| it.get(name)).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        out.push_back(ModelEvent::Started {
            id: text("id"),
            model: text("model"),
        });
    }

    fn begin(&mut self, index: u32, item: &Value, out: &mut Events) -> Result<(), ModelFault> {
        self.begun = true;
        self.items += 1;
        if self.items > ITEMS_MAX {
            return Err(malformed(format!("more than {ITEMS_MAX} items")));
        }
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        let known = self.calls.iter().any(|(it, ..)| *it == index);
        if text("type") == "function_call" && !known {
            let at = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
            let id = if text("call_id").is_empty() {
                text("id")
            } else {
                text("call_id")
            };
            out.push_back(ModelEvent::ToolCall {
                index: at,
                id: id.to_owned(),
                name: text("name").to_owned(),
            });
            self.calls.push((index, at, false));
        }
        Ok(())
    }

    fn arguments(&mut self, index: u32, json: String, out: &mut Events) -> Result<(), ModelFault> {
        let call = self.calls.iter_mut().find(|(it, ..)| *it == index);
        let Some((_, at, any)) = call else {
            return Err(malformed("arguments of a tool call that did not begin"));
        };
        *any = true;
        out.push_back(ModelEvent::ToolArguments { index: *at, json });
        Ok(())
    }

    /// The whole item: what of it did not come in pieces, and what only this protocol knows.
    fn finish_item(&mut self, index: u32, item: Value, out: &mut Events) {
        let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
        let streamed = self.streamed.contains(&index);
        match kind {
            "message" if !streamed => {
                let parts = item.get("content").and_then(Value::as_array);
                for part in parts.into_iter().flatten() {
                    let text = part.get("text").or_else(|| part.get("refusal"));
                    self.refused |= part.get("refusal").is_some();
                    if let Some(text) = text.and_then(Value::as_str).filter(|it| !it.is_empty()) {
                        out.push_back(ModelEvent::Text(text.to_owned()));
                    }
                }
            }
            "message" => {}
            "function_call" => {
                let silent = self.calls.iter().any(|(it, _, any)| *it == index && !any);
                let json = item
                    .get("arguments")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                if silent && !json.is_empty() {
                    let json = json.to_owned();
                    // The call has begun, for it is silent.
                    let _ = self.arguments(index, json, out);
                }
            }
            _ => {
                if kind == "reasoning" && !streamed {
                    let summary = item.get("summary").and_then(Value::as_array);
                    for part in summary.into_iter().flatten() {
                        if let Some(text) = part.get("text").and_then(Value::as_str) {
                            out.push_back(ModelEvent::Thinking(text.to_owned()));
                        }
                    }
                }
                // Thinking without its encrypted form would be looked for at the provider, who was
                // told to keep nothing.
                let empty =
                    kind == "reasoning" && item.get("encrypted_content").is_none_or(Value::is_null);
                if !empty {
                    out.push_back(ModelEvent::Other(Part::Other {
                        dialect: Dialect::OpenaiResponses,
                        value: item,
                    }));
                }
            }
        }
    }

    fn complete(&mut self, response: &Value, out: &mut Events) -> Result<(), ModelFault> {
        if let Some(usage) = response.get("usage").filter(|it| it.is_object())
            && let Ok(usage) = Usage::deserialize(usage)
        {
            out.push_back(ModelEvent::Usage(usage.tokens()));
        }
        let status = response.get("status").and_then(Value::as_str);
        let reason = response
            .pointer("/incomplete_details/reason")
            .and_then(Value::as_str);
        let stop = match (status, reason) {
            (Some("failed" | "cancelled"), _) => {
                let error = response.get("error").unwrap_or(&Value::Null);
                return Err(Said::of(error).fault(None));
            }
            (_, Some("max_output_tokens")) => StopReason::MaxTokens,
            (_, Some("content_filter")) => StopReason::Refusal,
            (_, Some(other)) => StopReason::Other(other.to_owned()),
            _ if !self.calls.is_empty() => StopReason::ToolCalls,
            _ if self.refused => StopReason::Refusal,
            _ => StopReason::End,
        };
        self.done = true;
        out.push_back(ModelEvent::Finished(stop));
        Ok(())
    }
}
