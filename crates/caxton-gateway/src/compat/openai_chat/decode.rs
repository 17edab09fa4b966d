//! A request as what is asked.

use caxton_api::ApiError;
use caxton_core::model::{ChatRole, Dialect, Part, Thinking, ToolChoice, ToolSpec};
use serde_json::{Map, Value};

use crate::compat::asked::Asked;
use crate::compat::read::{Fields, arguments, body, image, wrong};

/// A request, and what of it the answer needs.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) asked: Asked,
    /// A last chunk tells what was used.
    pub(crate) include_usage: bool,
}

/// Reads a request's body.
pub(crate) fn decode(bytes: &[u8]) -> Result<Completion, ApiError> {
    let mut fields = Fields::new(body(bytes)?, "");
    let mut asked = Asked::new(Dialect::OpenaiChat, fields.text_needed("model")?);
    refuse(&mut fields)?;
    let messages = fields.list("messages")?;
    if messages.is_empty() {
        return Err(wrong("messages", "is empty"));
    }
    for (n, message) in messages.into_iter().enumerate() {
        take_message(&mut asked, Fields::of(message, &format!("messages[{n}]"))?)?;
    }
    asked.stream = fields.flag("stream")?;
    let options = fields.object("stream_options")?;
    let include_usage = options.map(|mut it| it.flag("include_usage")).transpose()?;
    asked.tools = tools(fields.list("tools")?)?;
    asked.tool_choice = tool_choice(&mut fields)?;
    asked.parallel_calls = fields.flag_given("parallel_tool_calls")?;
    let completion_max = fields.count("max_completion_tokens")?;
    asked.output_tokens_max = completion_max.or(fields.count("max_tokens")?);
    asked.thinking = effort(fields.text("reasoning_effort")?, "reasoning_effort")?;
    asked.temperature = fields.number("temperature")?;
    asked.top_p = fields.number("top_p")?;
    asked.stop = fields.texts("stop")?;
    // One answer is what there is, so saying so is nothing more to keep.
    fields.take("n");
    asked.form = fields.form("response_format", Some("json_schema"))?;
    asked.extra = fields.rest();
    Ok(Completion {
        asked,
        include_usage: include_usage.unwrap_or(false),
    })
}

fn refuse(fields: &mut Fields) -> Result<(), ApiError> {
    fields.refuse("n", |it| it.as_u64() != Some(1))?;
    fields.refuse("logprobs", |it| it == &Value::Bool(true))?;
    fields.refuse("functions", |it| {
        it.as_array().is_none_or(|it| !it.is_empty())
    })?;
    fields.refuse("function_call", |it| it != "none")?;
    fields.refuse("audio", |_| true)?;
    fields.refuse("modalities", |it| it != &serde_json::json!(["text"]))
}

/// The level that an effort is.
pub(crate) fn effort(text: Option<String>, at: &str) -> Result<Option<Thinking>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    Ok(Some(match text.as_str() {
        "none" => Thinking::Off,
        "xhigh" | "max" => Thinking::High,
        other => Thinking::parse(other).map_err(|_| {
            let what = "is none of none, minimal, low, medium, high, xhigh";
            wrong(at, what)
        })?,
    }))
}

fn take_message(asked: &mut Asked, mut message: Fields) -> Result<(), ApiError> {
    let role = message.text_needed("role")?;
    let content = message.take("content");
    let at = message.place("content");
    match role.as_str() {
        "system" | "developer" => {
            let parts = content_parts(content, &at)?;
            let texts = parts.iter().map(|part| match part {
                Part::Text { text } => Ok(text.as_str()),
                _ => Err(wrong(&at, "of the system is text")),
            });
            let text = texts.collect::<Result<String, _>>()?;
            asked.add_system(&text);
        }
        "user" => {
            let parts = content_parts(content, &at)?;
            asked.add(ChatRole::User, parts);
        }
        "assistant" => {
            let mut parts = Vec::new();
            if let Some(text) = message.text("reasoning_content")? {
                let signature = None;
                parts.push(Part::Thinking { text, signature });
            }
            parts.extend(content_parts(content, &at)?);
            for (n, call) in message.list("tool_calls")?.into_iter().enumerate() {
                let at = message.place(&format!("tool_calls[{n}]"));
                parts.push(tool_call(Fields::of(call, &at)?)?);
            }
            asked.add(ChatRole::Assistant, parts);
        }
        "tool" => {
            let id = message.text_needed("tool_call_id")?;
            let result = Part::ToolResult {
                id,
                parts: content_parts(content, &at)?,
                is_error: false,
            };
            asked.add(ChatRole::User, vec![result]);
        }
        _ => {
            let what = "is none of system, developer, user, assistant, tool";
            return Err(wrong(&message.place("role"), what));
        }
    }
    Ok(())
}

fn tool_call(mut call: Fields) -> Result<Part, ApiError> {
    let id = call.text_needed("id")?;
    let at = call.place("function");
    let mut function = call
        .object("function")?
        .ok_or_else(|| wrong(&at, "is missing"))?;
    Ok(Part::ToolCall {
        id,
        name: function.text_needed("name")?,
        arguments: arguments(function.text("arguments")?.unwrap_or_default()),
    })
}

/// A text, or parts.
fn content_parts(content: Option<Value>, at: &str) -> Result<Vec<Part>, ApiError> {
    match content {
        None => Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::text(text)]),
        Some(Value::Array(items)) => {
            let mut parts = Vec::with_capacity(items.len());
            for (n, item) in items.into_iter().enumerate() {
                parts.extend(part(item, &format!("{at}[{n}]"))?);
            }
            Ok(parts)
        }
        Some(_) => Err(wrong(at, "is neither a string nor a list of parts")),
    }
}

/// A part; with what only this dialect has of it, where that is more.
fn part(value: Value, at: &str) -> Result<Vec<Part>, ApiError> {
    let mut fields = Fields::of(value.clone(), at)?;
    Ok(vec![match fields.text_needed("type")?.as_str() {
        "text" => Part::text(fields.text_needed("text")?),
        "refusal" => Part::text(fields.text_needed("refusal")?),
        "image_url" => {
            let place = fields.place("image_url");
            match fields.take("image_url") {
                Some(Value::String(url)) => image(&url, &place)?,
                Some(inner) => {
                    let mut inner = Fields::of(inner, &place)?;
                    let picture = image(&inner.text_needed("url")?, &place)?;
                    let extra = inner.extra(Dialect::OpenaiChat);
                    let extra = extra.map(|(dialect, fields)| Part::Extra { dialect, fields });
                    return Ok([picture].into_iter().chain(extra).collect());
                }
                None => return Err(wrong(&place, "is missing")),
            }
        }
        // Sound, files, and what comes: for a provider that knows it.
        _ => Part::Other {
            dialect: Dialect::OpenaiChat,
            value,
        },
    }])
}

fn tools(items: Vec<Value>) -> Result<Vec<ToolSpec>, ApiError> {
    let tool = |(n, item)| {
        let at = format!("tools[{n}]");
        let mut tool = Fields::of(item, &at)?;
        if tool.text_needed("type")? != "function" {
            return Err(wrong(&tool.place("type"), "is not `function`"));
        }
        let function = tool.object("function")?;
        let mut function = function.ok_or_else(|| wrong(&at, "has no `function`"))?;
        let schema = function.take("parameters");
        Ok(ToolSpec {
            name: function.text_needed("name")?,
            description: function.text("description")?.unwrap_or_default(),
            schema: schema.unwrap_or_else(no_parameters),
            extra: function.extra(Dialect::OpenaiChat),
        })
    };
    items.into_iter().enumerate().map(tool).collect()
}

/// The schema of a function that takes nothing.
pub(crate) fn no_parameters() -> Value {
    serde_json::json!({"type": "object", "properties": Map::new()})
}

fn tool_choice(fields: &mut Fields) -> Result<ToolChoice, ApiError> {
    let at = fields.place("tool_choice");
    Ok(match fields.take("tool_choice") {
        None => ToolChoice::Auto,
        Some(Value::String(text)) => match text.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => return Err(wrong(&at, "is none of auto, none, required")),
        },
        Some(value) => {
            let mut choice = Fields::of(value, &at)?;
            let function = choice.object("function")?;
            let mut function = function.ok_or_else(|| wrong(&at, "names no function"))?;
            ToolChoice::Named(function.text_needed("name")?)
        }
    })
}
