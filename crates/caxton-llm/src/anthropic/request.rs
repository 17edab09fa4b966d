//! A request in Anthropic Messages' words.

use crate::json::Fields;
use crate::quirks::Quirk;
use crate::traits::Traits;
use crate::wire::Outgoing;
use caxton_core::model::{
    ChatMessage, ChatRole, Dialect, Extra, Image, ModelRequest, Part, Thinking, ToolChoice,
    ToolSpec,
};
use caxton_engine::port::http::HeaderValue;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::sync::LazyLock;

const VERSION: &str = "2023-06-01";
/// What asks the provider to keep all up to a block.
const CACHE: &str = "cache_control";
/// Stands between pieces of what the system says.
const BETWEEN: &str = "\n\n";
/// The least budget of thinking that is taken, in tokens.
const BUDGET_TOKENS_MIN: u32 = 1_024;
/// Of the ceiling, what is left for the answer itself, in tokens: this, or a quarter if that is more.
const ANSWER_TOKENS_MIN: u32 = 1_024;

/// The field that says what the answer is to be like, and what a part of it was called at first.
const CONFIG: &str = "output_config";
const OLDER_FORMAT: &str = "output_format";

/// The form of an answer, which is a schema here.
fn schema(request: &ModelRequest) -> Option<&Value> {
    request.form.as_ref()?.schema.as_ref()
}

/// What a request asks for that this protocol does not have.
pub fn refused(request: &ModelRequest) -> Option<&'static str> {
    let form = request.form.as_ref()?;
    form.schema.is_none().then_some(
        "an answer in JSON without a schema is not in Anthropic's protocol; give its schema",
    )
}

/// The request. The ceiling stays what was reserved: thinking is part of it.
pub fn request(request: &ModelRequest, model: &str, traits: &Traits) -> Outgoing {
    let mut body = Fields::new();
    body.put("model", model);
    body.put("max_tokens", &request.output_tokens_max);
    let mut messages = messages(request);
    let mut system = system(request);
    if worth_caching(request, traits) {
        mark(&mut messages, &mut system);
    }
    if !system.is_empty() {
        body.put("system", &system);
    }
    body.put("messages", &messages);
    body.put("stream", &true);
    if !request.tools.is_empty() {
        let tools: Vec<Tool<'_>> = request.tools.iter().map(Tool::of).collect();
        body.put("tools", &tools);
        body.put("tool_choice", &tool_choice(request));
    }
    // What is asked for here stands beside what else the client says there.
    let ours = ours(request.extra.as_ref());
    let given = ours
        .and_then(|it| it.get(CONFIG))
        .and_then(Value::as_object);
    let mut config = given.cloned().unwrap_or_default();
    let older = ours.is_some_and(|it| it.contains_key(OLDER_FORMAT));
    if let Some(schema) = schema(request).filter(|_| !older) {
        let format = || json!({"type": "json_schema", "schema": schema});
        config.entry("format").or_insert_with(format);
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
            // The client's own word on effort is the more exact one.
            config.entry("effort").or_insert_with(|| (*effort).into());
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
    if !config.is_empty() {
        body.put(CONFIG, &config);
    }
    body.extra(ours);
    Outgoing {
        path: "/v1/messages",
        headers: vec![(
            "anthropic-version".to_owned(),
            HeaderValue::Plain(VERSION.to_owned()),
        )],
        body: body.finish(),
    }
}

/// Fields that this dialect's clients gave.
fn ours(extra: Option<&Extra>) -> Option<&Map<String, Value>> {
    extra.and_then(|(dialect, map)| (*dialect == Dialect::Anthropic).then_some(map))
}

/// What the system says; in pieces where some have fields of their own.
fn system(request: &ModelRequest) -> System<'_> {
    let whole = request.system.as_str();
    let mut pieces = Vec::new();
    let mut from = 0;
    for mark in &request.system_marks {
        let extra = ours(Some(&mark.extra));
        let piece = whole.get(from..mark.end).filter(|it| !it.is_empty());
        if let Some((text, extra)) = piece.zip(extra) {
            let text = text.strip_prefix(BETWEEN).unwrap_or(text);
            pieces.push(Block {
                extra: Some(extra),
                ..Block::text(text)
            });
            from = mark.end;
        }
    }
    if pieces.is_empty() {
        return System::Text(whole);
    }
    let rest = whole.get(from..).unwrap_or_default();
    let rest = rest.strip_prefix(BETWEEN).unwrap_or(rest);
    pieces.extend((!rest.is_empty()).then(|| Block::text(rest)));
    System::Blocks(pieces)
}

/// Whether the provider should keep what is asked for the next time, where the client did not say
/// what of it. Writing costs a quarter more than reading anew, and being read a tenth of it.
fn worth_caching(request: &ModelRequest, traits: &Traits) -> bool {
    let says = |extra: Option<&Extra>| ours(extra).is_some_and(|it| it.contains_key(CACHE));
    let parts = request.messages.iter().flat_map(|it| &it.parts);
    let marked =
        |part: &Part| matches!(part, Part::Extra { fields, .. } if fields.contains_key(CACHE));
    request.goes_on
        && traits.official
        && !says(request.extra.as_ref())
        && !request.tools.iter().any(|it| says(it.extra.as_ref()))
        && !request.system_marks.iter().any(|it| says(Some(&it.extra)))
        && !parts.into_iter().any(marked)
}

/// Has the provider keep the tools and the system, and all up to the last message: what is below the
/// least that it keeps (a thousand tokens or more) it passes over.
fn mark<'a>(messages: &mut [Message<'a>], system: &mut System<'a>) {
    static KEEP: LazyLock<Map<String, Value>> =
        LazyLock::new(|| Map::from_iter([(CACHE.to_owned(), json!({"type": "ephemeral"}))]));
    if let System::Text(text) = *system
        && !text.is_empty()
    {
        *system = System::Blocks(vec![Block::text(text)]);
    }
    if let System::Blocks(blocks) = system
        && let Some(last) = blocks.last_mut()
    {
        last.extra.get_or_insert(&KEEP);
    }
    let last = messages.last_mut().map(|it| &mut it.content);
    let mut blocks = last.into_iter().flatten().rev();
    let known = |it: &&mut Block<'_>| matches!(it.what, What::Known(_)) && !it.is_thinking();
    if let Some(block) = blocks.find(known) {
        block.extra.get_or_insert(&KEEP);
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
    let level = request.thinking.unwrap_or_default();
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

/// A block, with the fields that only this dialect has.
#[derive(Serialize)]
struct Block<'a> {
    #[serde(flatten)]
    what: What<'a>,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum What<'a> {
    Known(Known<'a>),
    Other(&'a Value),
}

/// What the system says: a text, or pieces of it with fields of their own.
#[derive(Serialize)]
#[serde(untagged)]
enum System<'a> {
    Text(&'a str),
    Blocks(Vec<Block<'a>>),
}

impl System<'_> {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Text(""))
    }
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

impl<'a> Block<'a> {
    fn known(known: Known<'a>) -> Self {
        let what = What::Known(known);
        Self { what, extra: None }
    }

    fn text(text: &'a str) -> Self {
        Self::known(Known::Text { text: text.into() })
    }

    fn is_thinking(&self) -> bool {
        match &self.what {
            What::Known(known) => matches!(known, Known::Thinking { .. }),
            What::Other(value) => value
                .get("type")
                .is_some_and(|it| it == "redacted_thinking"),
        }
    }

    fn is_result(&self) -> bool {
        matches!(&self.what, What::Known(Known::ToolResult { .. }))
    }
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    input_schema: &'a Value,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

impl<'a> Tool<'a> {
    fn of(tool: &'a ToolSpec) -> Self {
        Self {
            name: &tool.name,
            description: &tool.description,
            input_schema: &tool.schema,
            extra: ours(tool.extra.as_ref()),
        }
    }
}

fn tool_choice(request: &ModelRequest) -> Value {
    let mut choice = match &request.tool_choice {
        ToolChoice::Auto => json!({"type": "auto"}),
        ToolChoice::None => return json!({"type": "none"}),
        ToolChoice::Required => json!({"type": "any"}),
        ToolChoice::Named(name) => json!({"type": "tool", "name": name}),
    };
    let fields = choice.as_object_mut();
    if let Some((fields, parallel)) = fields.zip(request.parallel_calls) {
        fields.insert("disable_parallel_tool_use".to_owned(), (!parallel).into());
    }
    choice
}

/// Messages without content are refused, and so are two of one side: those become one.
fn messages(request: &ModelRequest) -> Vec<Message<'_>> {
    let mut out: Vec<Message<'_>> = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        let content = blocks(&message.parts);
        match out.last_mut() {
            Some(last) if last.role == message.role => last.content.extend(content),
            _ => out.push(Message {
                role: message.role,
                content,
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
    let last = message.content.last_mut();
    if let Some(What::Known(Known::Text { text })) = last.map(|it| &mut it.what) {
        let kept = text.trim_end().len();
        if kept > 0 && kept < text.len() {
            *text = text.get(..kept).unwrap_or_default().to_owned().into();
        }
    }
}

/// Parts as blocks, each with what its client gave it in this dialect.
fn blocks(parts: &[Part]) -> Vec<Block<'_>> {
    let mut out: Vec<Block<'_>> = Vec::with_capacity(parts.len());
    let mut taken = false;
    for part in parts {
        if let Part::Extra { dialect, fields } = part {
            let last = out.last_mut().filter(|_| taken);
            if let Some(last) = last.filter(|_| *dialect == Dialect::Anthropic) {
                last.extra = Some(fields);
            }
            continue;
        }
        let block = block(part);
        taken = block.is_some();
        out.extend(block);
    }
    out
}

fn block(part: &Part) -> Option<Block<'_>> {
    Some(Block::known(match part {
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
            content: blocks(parts),
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
        } => {
            let what = What::Other(value);
            return Some(Block { what, extra: None });
        }
        Part::Other { .. } | Part::Extra { .. } => return None,
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
