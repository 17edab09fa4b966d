//! A request in Anthropic Messages' words.

use crate::json::Fields;
use crate::quirks::Quirk;
use crate::traits::Traits;
use crate::wire::Outgoing;
use caxton_core::model::{
    ChatMessage, ChatRole, Dialect, Image, ModelRequest, Part, Thinking, ToolChoice, ToolSpec,
};
use caxton_engine::port::http::HeaderValue;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

const VERSION: &str = "2023-06-01";
/// The least budget of thinking that is taken, in tokens.
const BUDGET_TOKENS_MIN: u32 = 1_024;
/// Of the ceiling, what is left for the answer itself, in tokens: this, or a quarter if that is more.
const ANSWER_TOKENS_MIN: u32 = 1_024;

/// The request. The ceiling stays what was reserved: thinking is part of it.
pub fn request(request: &ModelRequest, model: &str, traits: &Traits) -> Outgoing {
    let mut body = Fields::new();
    body.put("model", model);
    body.put("max_tokens", &request.output_tokens_max);
    if !request.system.is_empty() {
        body.put("system", &request.system);
    }
    body.put("messages", &messages(request));
    body.put("stream", &true);
    if !request.tools.is_empty() {
        let tools: Vec<Tool<'_>> = request.tools.iter().map(Tool::of).collect();
        body.put("tools", &tools);
        body.put("tool_choice", &tool_choice(&request.tool_choice));
    }
    let thinking = thinking(request, traits);
    match &thinking {
        Some(Knob::Budget(tokens)) => {
            body.put(
                "thinking",
                &json!({"type": "enabled", "budget_tokens": tokens}),
            );
        }
        Some(Knob::Effort(effort)) => {
            body.put("thinking", &json!({"type": "adaptive"}));
            body.put("output_config", &json!({"effort": effort}));
        }
        // Neither goes with thinking.
        None if traits.may_sample() => {
            body.put_some("temperature", request.temperature.as_ref());
            body.put_some("top_p", request.top_p.as_ref());
        }
        None => {}
    }
    if !request.stop.is_empty() {
        body.put("stop_sequences", &request.stop);
    }
    let extra = request.extra.as_ref();
    body.extra(extra.and_then(|(dialect, map)| (*dialect == Dialect::Anthropic).then_some(map)));
    Outgoing {
        path: "/v1/messages",
        headers: vec![(
            "anthropic-version".to_owned(),
            HeaderValue::Plain(VERSION.to_owned()),
        )],
        body: body.finish(),
    }
}

/// How thinking is asked for.
enum Knob {
    Budget(u32),
    Effort(&'static str),
}

fn thinking(request: &ModelRequest, traits: &Traits) -> Option<Knob> {
    let forced = matches!(
        request.tool_choice,
        ToolChoice::Required | ToolChoice::Named(_)
    );
    let level = request.thinking;
    if level == Thinking::Off || traits.quirks.has(Quirk::NoThinking) {
        return None;
    }
    // A tool that must be called leaves no room for thought.
    if forced && !request.tools.is_empty() {
        return None;
    }
    if traits.adaptive || traits.quirks.has(Quirk::Adaptive) {
        return traits.effort(level).map(Knob::Effort);
    }
    let answer = ANSWER_TOKENS_MIN.max(request.output_tokens_max / 4);
    let room = request.output_tokens_max.saturating_sub(answer);
    let budget = level.budget_tokens().min(room);
    (budget >= BUDGET_TOKENS_MIN && continues_thinking(&request.messages))
        .then_some(Knob::Budget(budget))
}

/// Whether an unfinished round of tools began with thinking. If it did not, because another provider's
/// model called them, say, thinking cannot begin in the middle of it.
fn continues_thinking(messages: &[ChatMessage]) -> bool {
    let mut round = messages.iter().rev().take_while(|message| {
        message.role == ChatRole::Assistant
            || message
                .parts
                .iter()
                .any(|part| matches!(part, Part::ToolResult { .. }))
    });
    round.all(|message| {
        let calls = message
            .parts
            .iter()
            .any(|part| matches!(part, Part::ToolCall { .. }));
        let first = message.parts.iter().find_map(block);
        message.role == ChatRole::User || !calls || first.is_some_and(|it| it.is_thinking())
    })
}

#[derive(Serialize)]
struct Message<'a> {
    role: ChatRole,
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Block<'a> {
    Known(Known<'a>),
    Other(&'a Value),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Known<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Image {
        source: Source<'a>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Cow<'a, Value>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Url { url: &'a str },
}

impl Block<'_> {
    fn is_thinking(&self) -> bool {
        match self {
            Self::Known(known) => matches!(known, Known::Thinking { .. }),
            Self::Other(value) => value
                .get("type")
                .is_some_and(|it| it == "redacted_thinking"),
        }
    }

    fn is_result(&self) -> bool {
        matches!(self, Self::Known(Known::ToolResult { .. }))
    }
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    input_schema: &'a Value,
}

impl<'a> Tool<'a> {
    fn of(tool: &'a ToolSpec) -> Self {
        Self {
            name: &tool.name,
            description: &tool.description,
            input_schema: &tool.schema,
        }
    }
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!({"type": "auto"}),
        ToolChoice::None => json!({"type": "none"}),
        ToolChoice::Required => json!({"type": "any"}),
        ToolChoice::Named(name) => json!({"type": "tool", "name": name}),
    }
}

/// Messages without content are refused, and so are two of one side: those become one.
fn messages(request: &ModelRequest) -> Vec<Message<'_>> {
    let mut out: Vec<Message<'_>> = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        let blocks = message.parts.iter().filter_map(block);
        match out.last_mut() {
            Some(last) if last.role == message.role => last.content.extend(blocks),
            _ => out.push(Message {
                role: message.role,
                content: blocks.collect(),
            }),
        }
        if out.last().is_some_and(|last| last.content.is_empty()) {
            out.pop();
        }
    }
    for message in &mut out {
        // What tools answered stands before anything else; the sort is stable.
        message.content.sort_by_key(|block| !block.is_result());
    }
    if let Some(last) = out.last_mut().filter(|it| it.role == ChatRole::Assistant) {
        trim_end(last);
    }
    out
}

/// An answer that is to be continued may not end with white space.
fn trim_end(message: &mut Message<'_>) {
    if let Some(Block::Known(Known::Text { text })) = message.content.last_mut() {
        let kept = text.trim_end().len();
        if kept > 0 && kept < text.len() {
            *text = text.get(..kept).unwrap_or_default().to_owned().into();
        }
    }
}

fn block(part: &Part) -> Option<Block<'_>> {
    Some(Block::Known(match part {
        Part::Text { text } if text.is_empty() => return None,
        Part::Text { text } => Known::Text { text: text.into() },
        Part::Image { image } => Known::Image {
            source: match image {
                Image::Data { media_type, data } => Source::Base64 { media_type, data },
                Image::Url(url) => Source::Url { url },
            },
        },
        Part::ToolCall {
            id,
            name,
            arguments,
        } => Known::ToolUse {
            id: plain_id(id),
            name,
            input: input(arguments),
        },
        Part::ToolResult {
            id,
            parts,
            is_error,
        } => Known::ToolResult {
            tool_use_id: plain_id(id),
            content: parts.iter().filter_map(block).collect(),
            is_error: *is_error,
        },
        // Thinking that another provider's model did has no signature, and no place here.
        Part::Thinking { text, signature } => Known::Thinking {
            thinking: text,
            signature: signature.as_deref()?,
        },
        Part::Other {
            dialect: Dialect::Anthropic,
            value,
        } => return Some(Block::Other(value)),
        Part::Other { .. } => return None,
    }))
}

/// Ids of other providers may have characters that are refused.
fn plain_id(id: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.chars().all(plain) {
        return id.into();
    }
    id.chars().map(|c| if plain(c) { c } else { '_' }).collect()
}

/// An object is demanded: what a model wrote that is none is shown as one.
fn input(arguments: &Value) -> Cow<'_, Value> {
    match arguments {
        Value::Object(_) => Cow::Borrowed(arguments),
        Value::Null => Cow::Owned(json!({})),
        other => Cow::Owned(json!({"malformed": other})),
    }
}
