//! A request as what is asked.

use caxton_api::ApiError;
use caxton_core::model::{
    AnswerForm, ChatRole, Dialect, Extra, Part, Thinking, ToolChoice, ToolSpec,
};
use serde_json::Value;

use crate::compat::asked::Asked;
use crate::compat::openai_chat::no_parameters;
use crate::compat::read::{Fields, base64, body, image, wrong};

/// Reads a request's body. To count tokens, `max_tokens` is not asked for.
pub(crate) fn decode(bytes: &[u8], counting: bool) -> Result<Asked, ApiError> {
    let mut fields = Fields::new(body(bytes)?, "");
    let mut asked = Asked::new(Dialect::Anthropic, fields.text_needed("model")?);
    asked.output_tokens_max = fields.count("max_tokens")?;
    if asked.output_tokens_max.is_none() && !counting {
        return Err(wrong("max_tokens", "is missing"));
    }
    if let Some(system) = fields.take("system") {
        for part in content(Some(system), "system")? {
            match part {
                Part::Text { text } => asked.add_system(&text),
                Part::Extra { fields, .. } => asked.mark_system(fields),
                _ => return Err(wrong("system", "is not all text")),
            }
        }
    }
    let messages = fields.list("messages")?;
    if messages.is_empty() {
        return Err(wrong("messages", "is empty"));
    }
    for (n, message) in messages.into_iter().enumerate() {
        take_message(&mut asked, Fields::of(message, &format!("messages[{n}]"))?)?;
    }
    asked.stream = fields.flag("stream")?;
    asked.tools = tools(fields.list("tools")?)?;
    (asked.tool_choice, asked.parallel_calls) = tool_choice(&mut fields)?;
    asked.thinking = thinking(&mut fields)?;
    asked.temperature = fields.number("temperature")?;
    asked.top_p = fields.number("top_p")?;
    asked.stop = fields.texts("stop_sequences")?;
    asked.form = form(&fields)?;
    asked.extra = fields.rest();
    Ok(asked)
}

/// The form of the answer, which here the provider always holds it to. `output_format` is what it was
/// called at first.
fn form(fields: &Fields) -> Result<Option<AnswerForm>, ApiError> {
    let config = fields.inner("output_config")?;
    let given = config.map(|it| it.form("format", None)).transpose()?;
    let given = match given.flatten() {
        Some(given) => Some(given),
        None => fields.form("output_format", None)?,
    };
    Ok(given.map(|form| AnswerForm {
        strict: Some(true),
        ..form
    }))
}

fn take_message(asked: &mut Asked, mut message: Fields) -> Result<(), ApiError> {
    let role = match message.text_needed("role")?.as_str() {
        "user" => ChatRole::User,
        "assistant" => ChatRole::Assistant,
        _ => {
            let what = "is neither user nor assistant";
            return Err(wrong(&message.place("role"), what));
        }
    };
    let at = message.place("content");
    let parts = content(message.take("content"), &at)?;
    asked.add(role, parts);
    Ok(())
}

/// A text, or blocks.
fn content(value: Option<Value>, at: &str) -> Result<Vec<Part>, ApiError> {
    match value {
        None => Err(wrong(at, "is missing")),
        Some(Value::String(text)) => Ok(vec![Part::text(text)]),
        Some(Value::Array(items)) => {
            let mut parts = Vec::with_capacity(items.len());
            for (n, item) in items.into_iter().enumerate() {
                let (part, extra) = block(item, &format!("{at}[{n}]"))?;
                parts.push(part);
                parts.extend(extra.map(|(dialect, fields)| Part::Extra { dialect, fields }));
            }
            Ok(parts)
        }
        Some(_) => Err(wrong(at, "is neither a string nor a list of blocks")),
    }
}

/// A block, and what of it is the dialect's own.
fn block(value: Value, at: &str) -> Result<(Part, Option<Extra>), ApiError> {
    let mut fields = Fields::of(value.clone(), at)?;
    let part = match fields.text_needed("type")?.as_str() {
        "text" => Part::text(fields.text_needed("text")?),
        "image" => {
            let place = fields.place("source");
            let source = fields.object("source")?;
            let mut source = source.ok_or_else(|| wrong(&place, "is missing"))?;
            match source.text_needed("type")?.as_str() {
                "base64" => {
                    let media_type = source.text_needed("media_type")?;
                    base64(&media_type, &source.text_needed("data")?, &place)?
                }
                "url" => image(&source.text_needed("url")?, &place)?,
                _ => return Ok((other(value), None)),
            }
        }
        "tool_use" => Part::ToolCall {
            id: fields.text_needed("id")?,
            name: fields.text_needed("name")?,
            arguments: fields.take("input").unwrap_or_default(),
        },
        "tool_result" => {
            let id = fields.text_needed("tool_use_id")?;
            let is_error = fields.flag("is_error")?;
            let parts = match fields.take("content") {
                None => Vec::new(),
                given => content(given, &fields.place("content"))?,
            };
            Part::ToolResult {
                id,
                parts,
                is_error,
            }
        }
        "thinking" => {
            let text = fields.text_needed("thinking")?;
            let signature = fields.text("signature")?.filter(|it| !it.is_empty());
            return Ok((Part::Thinking { text, signature }, None));
        }
        // Documents, what the provider's own tools said, and what comes: for a provider that knows it.
        _ => return Ok((other(value), None)),
    };
    Ok((part, fields.extra(Dialect::Anthropic)))
}

fn other(value: Value) -> Part {
    let dialect = Dialect::Anthropic;
    Part::Other { dialect, value }
}

fn tools(items: Vec<Value>) -> Result<Vec<ToolSpec>, ApiError> {
    let tool = |(n, item)| {
        let at = format!("tools[{n}]");
        let mut tool = Fields::of(item, &at)?;
        let kind = tool.text("type")?;
        if kind.is_some_and(|kind| kind != "custom") {
            let what = "is a tool of the provider's, and none of yours";
            return Err(wrong(&tool.place("type"), what));
        }
        Ok(ToolSpec {
            name: tool.text_needed("name")?,
            description: tool.text("description")?.unwrap_or_default(),
            schema: tool.take("input_schema").unwrap_or_else(no_parameters),
            extra: tool.extra(Dialect::Anthropic),
        })
    };
    items.into_iter().enumerate().map(tool).collect()
}

/// Which tool is called, and whether several are.
fn tool_choice(fields: &mut Fields) -> Result<(ToolChoice, Option<bool>), ApiError> {
    let Some(mut choice) = fields.object("tool_choice")? else {
        return Ok((ToolChoice::Auto, None));
    };
    let one = choice.flag_given("disable_parallel_tool_use")?;
    let which = match choice.text_needed("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.text_needed("name")?),
        _ => {
            let what = "is none of auto, any, none, tool";
            return Err(wrong(&choice.place("type"), what));
        }
    };
    Ok((which, one.map(|one| !one)))
}

/// The level whose budget is the nearest that is not below what was asked for.
fn thinking(fields: &mut Fields) -> Result<Option<Thinking>, ApiError> {
    let Some(mut thinking) = fields.object("thinking")? else {
        return Ok(None);
    };
    let level = match thinking.text_needed("type")?.as_str() {
        "disabled" => Thinking::Off,
        "adaptive" => Thinking::Medium,
        "enabled" => {
            let budget = thinking.count("budget_tokens")?;
            let budget = budget.ok_or_else(|| wrong("thinking.budget_tokens", "is missing"))?;
            let fits = |level: &Thinking| level.budget_tokens() >= budget;
            let levels = Thinking::ALL.into_iter().skip(1);
            levels.into_iter().find(fits).unwrap_or(Thinking::High)
        }
        _ => {
            let what = "is none of enabled, disabled, adaptive";
            return Err(wrong("thinking.type", what));
        }
    };
    Ok(Some(level))
}
