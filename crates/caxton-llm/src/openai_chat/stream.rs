//! A stream of Chat Completions, as `OpenAI` writes it and as the many compatible servers do: with and
//! without `[DONE]`, usage, ids or indices of tool calls, or streaming at all.

use crate::fault::Said;
use crate::json::{Text, count};
use crate::sse::Event;
use crate::template::{Slot, Template};
use crate::wire::{Decode, Events, ended_early, malformed, unreadable};
use caxton_core::model::{ModelEvent, ModelFault, StopReason, Tokens};
use serde::Deserialize;
use serde_json::Value;

/// Tool calls of one answer.
const CALLS_MAX: usize = 128;

/// Reads one answer.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Anything of the protocol was understood.
    begun: bool,
    started: bool,
    refused: bool,
    calls: Vec<Call>,
    stop: Option<StopReason>,
    usage: Option<Tokens>,
    template: Template,
    done: bool,
}

/// A tool call that has begun; its place in the list is the index given out.
#[derive(Debug)]
struct Call {
    /// The provider's.
    index: Option<u32>,
    id: String,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default, alias = "message")]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
    /// vLLM: the sequence or token that it stopped at.
    #[serde(default)]
    stop_reason: Option<Value>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Text<'a>>,
    #[serde(borrow, default)]
    refusal: Option<Text<'a>>,
    /// `DeepSeek`, vLLM, llama.cpp.
    #[serde(borrow, default)]
    reasoning_content: Option<Text<'a>>,
    /// Ollama, `OpenRouter`.
    #[serde(borrow, default)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<CallDelta<'a>>>,
}

#[derive(Deserialize)]
struct CallDelta<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    function: Option<FunctionDelta<'a>>,
}

#[derive(Deserialize)]
struct FunctionDelta<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    arguments: Option<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Usage {
    #[serde(deserialize_with = "count")]
    prompt_tokens: u64,
    #[serde(deserialize_with = "count")]
    completion_tokens: u64,
    #[serde(deserialize_with = "count")]
    total_tokens: u64,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// `DeepSeek`.
    #[serde(deserialize_with = "count")]
    prompt_cache_hit_tokens: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PromptDetails {
    #[serde(deserialize_with = "count")]
    cached_tokens: u64,
    #[serde(deserialize_with = "count")]
    cache_write_tokens: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CompletionDetails {
    #[serde(deserialize_with = "count")]
    reasoning_tokens: u64,
}

impl Usage {
    fn tokens(&self) -> Tokens {
        let prompt = self.prompt_tokens_details.as_ref();
        let completion = self.completion_tokens_details.as_ref();
        let input = self.prompt_tokens;
        // Some count thinking in the total only.
        let output = self
            .completion_tokens
            .max(self.total_tokens.saturating_sub(input));
        let cached = prompt
            .map_or(0, |it| it.cached_tokens)
            .max(self.prompt_cache_hit_tokens);
        let cache_read = cached.min(input);
        Tokens {
            input,
            output,
            cache_read,
            cache_write: prompt
                .map_or(0, |it| it.cache_write_tokens)
                .min(input - cache_read),
            thinking: completion.map_or(0, |it| it.reasoning_tokens).min(output),
            estimated: false,
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
        if data == b"[DONE]" {
            return self.finish(out);
        }
        self.read(data, out)
    }

    fn whole(&mut self, body: &[u8], out: &mut Events) -> Result<(), ModelFault> {
        self.read(body, out)
    }

    fn end(&mut self, out: &mut Events) -> Result<(), ModelFault> {
        if self.done {
            return Ok(());
        }
        if self.stop.is_some() {
            return self.finish(out);
        }
        Err(ended_early(self.begun))
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

impl Decoder {
    fn read(&mut self, data: &[u8], out: &mut Events) -> Result<(), ModelFault> {
        match serde_json::from_slice::<Chunk<'_>>(data) {
            Ok(chunk) => self.chunk(chunk, data, out),
            // JSON in a form that is nearly the protocol's; what is no JSON fails again.
            Err(error) if error.is_data() => {
                let value = serde_json::from_slice(data).map_err(|error| unreadable(&error))?;
                let plain = mended(value).to_string();
                let chunk = serde_json::from_str(&plain).map_err(|error| unreadable(&error))?;
                self.chunk(chunk, b"", out)
            }
            Err(error) => Err(unreadable(&error)),
        }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, data: &[u8], out: &mut Events) -> Result<(), ModelFault> {
        if let Some(error) = chunk.error.filter(|it| !it.is_null()) {
            return Err(Said::of(&error).fault(None));
        }
        let understood = chunk.choices.is_some() || chunk.usage.is_some();
        if !understood {
            return Ok(());
        }
        self.begun = true;
        let before = out.len();
        // After the reason to stop, usage alone is the last chunk: some servers send nothing more and
        // leave the connection open.
        let is_last = self.stop.is_some()
            && chunk.usage.is_some()
            && chunk.choices.as_ref().is_none_or(Vec::is_empty);
        if !self.started {
            self.started = true;
            out.push_back(ModelEvent::Started {
                id: chunk.id.map(Text::into_owned).unwrap_or_default(),
                model: chunk.model.map(Text::into_owned).unwrap_or_default(),
            });
        }
        let mut slot = None;
        for choice in chunk.choices.into_iter().flatten() {
            // One answer was asked for.
            if choice.index == 0 {
                slot = self.choice(choice, data, out)?;
            }
        }
        match chunk.usage {
            Some(usage) => self.usage(usage.tokens(), out),
            // Nothing but one piece of text: the next chunk is likely the same around it.
            None if out.len() == before + 1 => self.template.learn(data, slot),
            None => {}
        }
        if is_last {
            return self.finish(out);
        }
        Ok(())
    }

    /// Gives the place of the text, where the choice was nothing but one text.
    fn choice<'c>(
        &mut self,
        choice: Choice<'c>,
        data: &[u8],
        out: &mut Events,
    ) -> Result<Option<Slot>, ModelFault> {
        let mut slot = None;
        if let Some(delta) = choice.delta {
            let thought = [delta.reasoning_content, delta.reasoning];
            if let Some(text) = thought.into_iter().flatten().find(|it| !it.is_empty()) {
                slot = Slot::of(data, &text, ModelEvent::Thinking);
                out.push_back(ModelEvent::Thinking(text.into_owned()));
            }
            if let Some(text) = delta.content.filter(|it| !it.is_empty()) {
                slot = Slot::of(data, &text, ModelEvent::Text);
                out.push_back(ModelEvent::Text(text.into_owned()));
            }
            if let Some(text) = delta.refusal.filter(|it| !it.is_empty()) {
                self.refused = true;
                out.push_back(ModelEvent::Text(text.into_owned()));
            }
            for call in delta.tool_calls.into_iter().flatten() {
                self.call(call, out)?;
            }
        }
        if let Some(reason) = choice.finish_reason.filter(|it| !it.is_empty()) {
            slot = None;
            self.stop = Some(self.stop_of(&reason, choice.stop_reason.as_ref()));
        }
        Ok(slot)
    }

    fn call(&mut self, delta: CallDelta<'_>, out: &mut Events) -> Result<(), ModelFault> {
        let id = delta.id.as_deref().unwrap_or_default();
        let (name, arguments) = match &delta.function {
            Some(function) => (function.name.as_deref(), function.arguments.as_deref()),
            None => (None, None),
        };
        let name = name.unwrap_or_default();
        // Some give each call the index 0, some none; some repeat id and name in each piece.
        let found = self.calls.iter().rposition(|call| {
            let same_index = delta.index.is_none() || call.index == delta.index;
            let same_id = id.is_empty() || call.id == id;
            same_index && same_id
        });
        let begins =
            !name.is_empty() && (found.is_none() || (id.is_empty() && delta.index.is_none()));
        let at = match found {
            Some(at) if !begins => at,
            _ if name.is_empty() => return Err(malformed("a tool call without a name")),
            _ if self.calls.len() >= CALLS_MAX => {
                return Err(malformed(format!("more than {CALLS_MAX} tool calls")));
            }
            _ => self.begin(delta.index, id, name, out),
        };
        if let Some(json) = arguments.filter(|it| !it.is_empty()) {
            out.push_back(ModelEvent::ToolArguments {
                index: u32::try_from(at).unwrap_or(u32::MAX),
                json: json.to_owned(),
            });
        }
        Ok(())
    }

    fn begin(&mut self, index: Option<u32>, id: &str, name: &str, out: &mut Events) -> usize {
        let at = self.calls.len();
        let own = if id.is_empty() {
            format!("call_{at}")
        } else {
            id.to_owned()
        };
        out.push_back(ModelEvent::ToolCall {
            index: u32::try_from(at).unwrap_or(u32::MAX),
            id: own,
            name: name.to_owned(),
        });
        self.calls.push(Call {
            index,
            id: id.to_owned(),
        });
        at
    }

    fn stop_of(&self, reason: &str, detail: Option<&Value>) -> StopReason {
        match reason {
            "length" | "max_tokens" => StopReason::MaxTokens,
            "content_filter" | "safety" | "refusal" => StopReason::Refusal,
            _ if self.refused => StopReason::Refusal,
            // Some say `stop` and call tools.
            "stop" | "tool_calls" | "function_call" if !self.calls.is_empty() => {
                StopReason::ToolCalls
            }
            "stop" if detail.is_some_and(Value::is_string) => StopReason::StopSequence,
            "stop" | "tool_calls" | "function_call" | "end_turn" | "eos" => StopReason::End,
            other => StopReason::Other(other.to_owned()),
        }
    }

    fn usage(&mut self, tokens: Tokens, out: &mut Events) {
        let empty = tokens.total() == 0;
        // Some count in each chunk: what did not change is not told again.
        if !empty && self.usage != Some(tokens) {
            self.usage = Some(tokens);
            out.push_back(ModelEvent::Usage(tokens));
        }
    }

    /// The answer is complete.
    fn finish(&mut self, out: &mut Events) -> Result<(), ModelFault> {
        if !self.begun {
            return Err(ended_early(false));
        }
        self.done = true;
        let stop = self
            .stop
            .take()
            .unwrap_or_else(|| self.stop_of("stop", None));
        out.push_back(ModelEvent::Finished(stop));
        Ok(())
    }
}

/// Nearly the protocol's form, made the protocol's: content in parts (Mistral), arguments as objects.
fn mended(mut value: Value) -> Value {
    let choices = value.get_mut("choices").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten() {
        for name in ["delta", "message"] {
            if let Some(delta) = choice.get_mut(name) {
                mend_delta(delta);
            }
        }
    }
    value
}

fn mend_delta(delta: &mut Value) {
    if let Some(Value::Array(parts)) = delta.get("content") {
        let (mut text, mut thought) = (String::new(), String::new());
        for part in parts {
            match part.get("thinking") {
                Some(inner) => thought.push_str(&texts(inner)),
                None => text.push_str(&texts(part)),
            }
        }
        if let Some(fields) = delta.as_object_mut() {
            fields.insert("content".to_owned(), text.into());
            if !thought.is_empty() {
                fields.insert("reasoning_content".to_owned(), thought.into());
            }
        }
    }
    let calls = delta.get_mut("tool_calls").and_then(Value::as_array_mut);
    for call in calls.into_iter().flatten() {
        if let Some(arguments) = call.pointer_mut("/function/arguments")
            && arguments.is_object()
        {
            *arguments = Value::String(arguments.to_string());
        }
    }
}

fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(texts).collect(),
        value => value
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
    }
}
