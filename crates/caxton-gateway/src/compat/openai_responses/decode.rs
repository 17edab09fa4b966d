//! A request as what is asked.

use caxton_api::ApiError;
use caxton_core::error::Code;
use caxton_core::error::shown;
use caxton_core::model::{ChatRole, Dialect, Part, ToolChoice, ToolSpec};
use caxton_core::session::TurnId;
use serde_json::{Value, json};

use super::encode::Shape;
use crate::compat::asked::Asked;
use crate::compat::openai_chat::{effort, no_parameters};
use crate::compat::read::{Fields, arguments, body, image, wrong};

/// A request, and what of it the answer needs.
#[derive(Debug)]
pub(crate) struct Creation {
    pub(crate) asked: Asked,
    /// The response that it goes on from.
    pub(crate) previous: Option<TurnId>,
    /// Whether it can be gone on from, and asked for, later.
    pub(crate) store: bool,
    /// What the answer repeats.
    pub(crate) shape: Shape,
}

/// The turn that a response's id names.
pub(crate) fn response_id(id: &str) -> Result<TurnId, ApiError> {
    let turn = id
        .strip_prefix("resp_")
        .and_then(|it| TurnId::parse(it).ok());
    turn.ok_or_else(|| {
        let detail = format!("there is no response `{}`", shown(id));
        ApiError::new(Code::TurnNotFound, detail)
    })
}

/// Reads a request's body.
pub(crate) fn decode(bytes: &[u8]) -> Result<Creation, ApiError> {
    let mut fields = Fields::new(body(bytes)?, "");
    let mut asked = Asked::new(Dialect::OpenaiResponses, fields.text_needed("model")?);
    fields.refuse("background", |it| it == &Value::Bool(true))?;
    fields.refuse("conversation", |_| true)?;
    fields.refuse("prompt", |_| true)?;
    let instructions = fields.text("instructions")?;
    asked.add_system(instructions.as_deref().unwrap_or_default());
    input(&mut asked, fields.take("input"))?;
    let previous = fields.text("previous_response_id")?;
    let given_tools = fields.take("tools").unwrap_or_else(|| json!([]));
    let given_choice = fields.take("tool_choice").unwrap_or_else(|| json!("auto"));
    asked.tools = tools(&given_tools)?;
    asked.tool_choice = tool_choice(&given_choice)?;
    asked.parallel_calls = fields.flag_given("parallel_tool_calls")?;
    asked.stream = fields.flag("stream")?;
    asked.output_tokens_max = fields.count("max_output_tokens")?;
    asked.temperature = fields.number("temperature")?;
    asked.top_p = fields.number("top_p")?;
    let reasoning = fields.take("reasoning");
    if let Some(reasoning) = reasoning.clone() {
        let given = Fields::of(reasoning, "reasoning")?.text("effort")?;
        asked.thinking = effort(given, "reasoning.effort")?;
    }
    let store = fields.take("store") != Some(Value::Bool(false));
    let metadata = fields.take("metadata").unwrap_or_else(|| json!({}));
    let text = fields.take("text");
    // Kept for a provider that speaks this, and repeated in the answer.
    let shape = Shape {
        instructions,
        previous: previous.clone(),
        store,
        metadata,
        tools: given_tools,
        tool_choice: given_choice,
        parallel_calls: asked.parallel_calls.unwrap_or(true),
        text: text.clone(),
        reasoning,
        max_output_tokens: asked.output_tokens_max,
        temperature: asked.temperature,
        top_p: asked.top_p,
    };
    asked.extra = fields.rest();
    if let Some(text) = text {
        asked.form = Fields::of(text.clone(), "text")?.form("format", None)?;
        asked.extra.insert("text".to_owned(), text);
    }
    Ok(Creation {
        asked,
        previous: previous.as_deref().map(response_id).transpose()?,
        store,
        shape,
    })
}

/// A text, or items.
fn input(asked: &mut Asked, input: Option<Value>) -> Result<(), ApiError> {
    match input {
        None => Err(wrong("input", "is missing")),
        Some(Value::String(text)) => {
            asked.add(ChatRole::User, vec![Part::text(text)]);
            Ok(())
        }
        Some(Value::Array(items)) if !items.is_empty() => {
            for (n, item) in items.into_iter().enumerate() {
                take_item(asked, item, &format!("input[{n}]"))?;
            }
            Ok(())
        }
        Some(Value::Array(_)) => Err(wrong("input", "is empty")),
        Some(_) => Err(wrong("input", "is neither a string nor a list of items")),
    }
}

fn take_item(asked: &mut Asked, value: Value, at: &str) -> Result<(), ApiError> {
    let mut item = Fields::of(value.clone(), at)?;
    let kind = item.text("type")?;
    match kind.as_deref().unwrap_or("message") {
        "message" => message(asked, item)?,
        "function_call" => asked.add_to_assistant(Part::ToolCall {
            id: item.text_needed("call_id")?,
            name: item.text_needed("name")?,
            arguments: arguments(item.text("arguments")?.unwrap_or_default()),
        }),
        "function_call_output" => {
            let id = item.text_needed("call_id")?;
            let place = item.place("output");
            let result = Part::ToolResult {
                id,
                parts: content(item.take("output"), &place)?,
                is_error: false,
            };
            asked.add(ChatRole::User, vec![result]);
        }
        "reasoning" => {
            let mut text = String::new();
            for (n, summary) in item.list("summary")?.into_iter().enumerate() {
                let place = item.place(&format!("summary[{n}]"));
                text.push_str(&Fields::of(summary, &place)?.text_needed("text")?);
            }
            let signature = None;
            asked.add_to_assistant(Part::Thinking { text, signature });
        }
        "item_reference" => {
            let what =
                "refers to an item by its id, which this server does not keep: send the item";
            return Err(wrong(at, what));
        }
        // What the provider's own tools said, and what comes: for a provider that knows it.
        _ => asked.add_to_assistant(Part::Other {
            dialect: Dialect::OpenaiResponses,
            value,
        }),
    }
    Ok(())
}

fn message(asked: &mut Asked, mut item: Fields) -> Result<(), ApiError> {
    let role = item.text_needed("role")?;
    let at = item.place("content");
    let parts = content(item.take("content"), &at)?;
    match role.as_str() {
        "user" => asked.add(ChatRole::User, parts),
        "assistant" => parts.into_iter().for_each(|it| asked.add_to_assistant(it)),
        "system" | "developer" => {
            for part in parts {
                match part {
                    Part::Text { text } => asked.add_system(&text),
                    _ => return Err(wrong(&at, "of the system is text")),
                }
            }
        }
        _ => {
            let what = "is none of user, assistant, system, developer";
            return Err(wrong(&item.place("role"), what));
        }
    }
    Ok(())
}

fn content(content: Option<Value>, at: &str) -> Result<Vec<Part>, ApiError> {
    match content {
        None => Err(wrong(at, "is missing")),
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
        "input_text" | "output_text" | "text" => Part::text(fields.text_needed("text")?),
        "refusal" => Part::text(fields.text_needed("refusal")?),
        "input_image" => {
            let place = fields.place("image_url");
            let url = fields.text("image_url")?;
            let url = url.ok_or_else(|| wrong(&place, "is missing; files are not kept here"))?;
            let picture = image(&url, &place)?;
            let extra = fields.extra(Dialect::OpenaiResponses);
            let extra = extra.map(|(dialect, fields)| Part::Extra { dialect, fields });
            return Ok([picture].into_iter().chain(extra).collect());
        }
        _ => Part::Other {
            dialect: Dialect::OpenaiResponses,
            value,
        },
    }])
}

fn tools(given: &Value) -> Result<Vec<ToolSpec>, ApiError> {
    let Value::Array(items) = given else {
        return Err(wrong("tools", "is no list"));
    };
    let tool = |(n, item): (usize, &Value)| {
        let at = format!("tools[{n}]");
        let mut tool = Fields::of(item.clone(), &at)?;
        if tool.text_needed("type")? != "function" {
            let what = "is a tool of the provider's, and none of yours";
            return Err(wrong(&tool.place("type"), what));
        }
        Ok(ToolSpec {
            name: tool.text_needed("name")?,
            description: tool.text("description")?.unwrap_or_default(),
            schema: tool.take("parameters").unwrap_or_else(no_parameters),
            extra: tool.extra(Dialect::OpenaiResponses),
        })
    };
    items.iter().enumerate().map(tool).collect()
}

fn tool_choice(given: &Value) -> Result<ToolChoice, ApiError> {
    const AT: &str = "tool_choice";
    match given.as_str() {
        Some("auto") => Ok(ToolChoice::Auto),
        Some("none") => Ok(ToolChoice::None),
        Some("required") => Ok(ToolChoice::Required),
        Some(_) => Err(wrong(AT, "is none of auto, none, required")),
        None => {
            let mut choice = Fields::of(given.clone(), AT)?;
            match choice.text_needed("type")?.as_str() {
                "function" => Ok(ToolChoice::Named(choice.text_needed("name")?)),
                _ => Err(wrong(AT, "names no function")),
            }
        }
    }
}
