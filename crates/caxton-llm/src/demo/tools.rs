//! `use NAME …`: the way in which tools can be tried without a language model.

use super::results;
use caxton_core::model::{ChatMessage, ChatRole, ModelRequest, ToolChoice, ToolSpec};
use serde_json::{Map, Value};

/// A call to be made.
#[derive(Debug, PartialEq)]
pub struct Call {
    pub name: String,
    pub arguments: Value,
}

/// The call that the last message asks for, or that the request demands.
pub fn wanted(request: &ModelRequest) -> Option<Call> {
    // What a tool answered is told first: else a demanded tool would be called for ever.
    if request.tools.is_empty()
        || request.tool_choice == ToolChoice::None
        || !results(request).is_empty()
    {
        return None;
    }
    let last = request
        .messages
        .last()
        .filter(|it| it.role == ChatRole::User);
    let text = last.map(ChatMessage::text).unwrap_or_default();
    let asked = asked(&request.tools, text.trim());
    let demanded = || {
        let tool = match &request.tool_choice {
            ToolChoice::Named(name) => request.tools.iter().find(|tool| tool.name == *name)?,
            ToolChoice::Required => request.tools.first()?,
            ToolChoice::Auto | ToolChoice::None => return None,
        };
        Some((tool, text.trim()))
    };
    let (tool, rest) = asked.or_else(demanded)?;
    Some(Call {
        name: tool.name.clone(),
        arguments: arguments(&tool.schema, rest),
    })
}

/// `use NAME …`, `please use the tool NAME with …`, `call NAME: …`.
fn asked<'t>(tools: &'t [ToolSpec], text: &'t str) -> Option<(&'t ToolSpec, &'t str)> {
    let mut rest = text;
    let mut verb = false;
    loop {
        let (word, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let bare = word
            .trim_end_matches([':', ',', '.', '!', '?'])
            .trim_matches('`');
        let low = bare.to_lowercase();
        if verb
            && let Some(tool) = tools
                .iter()
                .find(|tool| tool.name.eq_ignore_ascii_case(bare))
        {
            let tail = tail.trim_start();
            let tail = ["with ", "for ", "on "]
                .iter()
                .find_map(|it| tail.strip_prefix(it))
                .unwrap_or(tail);
            return Some((tool, tail.trim()));
        }
        match &*low {
            "use" | "call" | "run" => verb = true,
            "please" | "the" | "tool" | "now" | "then" => {}
            _ => return None,
        }
        rest = tail.trim_start();
    }
}

/// An object of what was said: JSON, `key=value` pairs, or one text for the only or first property.
fn arguments(schema: &Value, rest: &str) -> Value {
    if let Some(at) = rest.find('{')
        && let Some(json) = rest.get(at..)
        && let Some(Ok(object @ Value::Object(_))) =
            serde_json::Deserializer::from_str(json).into_iter().next()
    {
        return object;
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let known = |name: &str| properties.is_none_or(|it| it.contains_key(name));
    let pairs: Vec<(&str, &str)> = rest
        .split([',', ' '])
        .filter_map(|pair| pair.trim().split_once('='))
        .collect();
    if !pairs.is_empty() && pairs.iter().all(|(name, _)| known(name)) {
        let typed = pairs.into_iter().map(|(name, value)| {
            (
                name.to_owned(),
                typed(properties.and_then(|it| it.get(name)), value),
            )
        });
        return Value::Object(typed.collect());
    }
    let required = schema.get("required").and_then(Value::as_array);
    let first = required
        .and_then(|names| names.first()?.as_str())
        .or_else(|| {
            properties
                .and_then(|it| it.keys().next())
                .map(String::as_str)
        });
    let mut object = Map::new();
    if let Some(name) = first.filter(|_| !rest.is_empty()) {
        let value = typed(properties.and_then(|it| it.get(name)), rest);
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}

/// A value as its property's type has it; a text where it cannot be that.
fn typed(property: Option<&Value>, text: &str) -> Value {
    let text = text.trim();
    let kind = property
        .and_then(|it| it.get("type"))
        .and_then(Value::as_str);
    let read = match kind {
        Some("number" | "integer" | "boolean" | "array" | "object") => {
            serde_json::from_str(text).ok()
        }
        _ => None,
    };
    read.unwrap_or_else(|| Value::String(text.trim_matches(['"', '\'']).to_owned()))
}
