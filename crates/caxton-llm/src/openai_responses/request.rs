//! A request in Responses' words. Nothing is kept at the provider: history and, encrypted, what was
//! thought go back and forth.

use crate::json::Fields;
use crate::openai_chat::{arguments_text, form_fields, url};
use crate::quirks::Quirk;
use crate::traits::Traits;
use crate::wire::Outgoing;
use caxton_core::model::{
    AnswerForm, ChatMessage, ChatRole, Dialect, Extra, ModelRequest, Part, ToolChoice, ToolSpec,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// How closely a model looks at a picture, where nobody says.
const DETAIL: &str = "auto";

/// The request. The endpoint's base address ends with the version (`…/v1`). There are no stop
/// sequences in this protocol; they are left out.
pub fn request(request: &ModelRequest, model: &str, traits: &Traits) -> Outgoing {
    let mut body = Fields::new();
    body.put("model", model);
    if !request.system.is_empty() {
        body.put("instructions", &request.system);
    }
    body.put("input", &input(request));
    body.put("stream", &true);
    if traits.official && !traits.quirks.has(Quirk::NoStreamOptions) {
        // Padding against traffic analysis doubles what is to be read.
        body.put("stream_options", &json!({"include_obfuscation": false}));
    }
    body.put("store", &false);
    body.put("max_output_tokens", &request.output_tokens_max);
    if !request.tools.is_empty() {
        let tools: Vec<Tool<'_>> = request.tools.iter().map(Tool::of).collect();
        body.put("tools", &tools);
        body.put("tool_choice", &tool_choice(&request.tool_choice));
        body.put_some("parallel_tool_calls", request.parallel_calls.as_ref());
    }
    if traits.may_sample() {
        body.put_some("temperature", request.temperature.as_ref());
        body.put_some("top_p", request.top_p.as_ref());
    }
    if let Some(effort) = request.thinking.and_then(|it| traits.effort(it)) {
        let mut reasoning = json!({"effort": effort});
        if effort != "none" {
            if let Some(fields) = reasoning
                .as_object_mut()
                .filter(|_| !traits.quirks.has(Quirk::NoSummary))
            {
                fields.insert("summary".to_owned(), "auto".into());
            }
            body.put("include", &["reasoning.encrypted_content"]);
        }
        body.put("reasoning", &reasoning);
    }
    let ours = ours(request.extra.as_ref());
    if let Some(form) = &request.form {
        let given = ours.and_then(|it| it.get("text"));
        let mut text = given
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        text.entry("format").or_insert_with(|| self::form(form));
        body.put("text", &text);
    }
    body.extra(ours);
    Outgoing {
        path: "/responses",
        headers: Vec::new(),
        body: body.finish(),
    }
}

fn form(form: &AnswerForm) -> Value {
    if form.schema.is_none() {
        return json!({"type": "json_object"});
    }
    let mut fields = form_fields(form);
    fields.insert("type".to_owned(), "json_schema".into());
    Value::Object(fields)
}

/// Fields that this dialect's clients gave.
fn ours(extra: Option<&Extra>) -> Option<&Map<String, Value>> {
    extra.and_then(|(dialect, map)| (*dialect == Dialect::OpenaiResponses).then_some(map))
}

#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Known(Known<'a>),
    Other(&'a Value),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Known<'a> {
    Message {
        role: ChatRole,
        content: Output<'a>,
    },
    FunctionCall {
        call_id: &'a str,
        name: &'a str,
        arguments: Cow<'a, str>,
    },
    FunctionCallOutput {
        call_id: &'a str,
        output: Output<'a>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Content<'a> {
    InputText {
        text: &'a str,
    },
    InputImage {
        image_url: Cow<'a, str>,
        detail: &'a str,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Output<'a> {
    Text(String),
    Parts(Vec<Content<'a>>),
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    parameters: &'a Value,
    /// Schemas are the tools' own, and need not be of the strict kind unless a client says so.
    strict: bool,
}

impl<'a> Tool<'a> {
    fn of(tool: &'a ToolSpec) -> Self {
        Self {
            r#type: "function",
            name: &tool.name,
            description: &tool.description,
            parameters: &tool.schema,
            strict: ours(tool.extra.as_ref())
                .and_then(|it| it.get("strict")?.as_bool())
                .unwrap_or(false),
        }
    }
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "name": name}),
    }
}

fn input(request: &ModelRequest) -> Vec<Item<'_>> {
    let mut out = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        items(message, &mut out);
    }
    out
}

/// A message's parts as items, in their order, what tools answered first: text and pictures that stand
/// together are one message.
fn items<'a>(message: &'a ChatMessage, out: &mut Vec<Item<'a>>) {
    let mut content: Vec<Content<'a>> = Vec::new();
    let is_result = |part: &&Part| matches!(part, Part::ToolResult { .. });
    let results = message.parts.iter().filter(is_result);
    let others = message.parts.iter().filter(|part| !is_result(part));
    for part in results.chain(others) {
        let item = match part {
            Part::Text { text } if text.is_empty() => continue,
            Part::Text { text } => {
                content.push(Content::InputText { text });
                continue;
            }
            Part::Image { image } if message.role == ChatRole::User => {
                let image_url = url(image);
                content.push(Content::InputImage {
                    image_url,
                    detail: DETAIL,
                });
                continue;
            }
            Part::Extra {
                dialect: Dialect::OpenaiResponses,
                fields,
            } => {
                if let Some(Content::InputImage { detail, .. }) = content.last_mut() {
                    *detail = fields
                        .get("detail")
                        .and_then(Value::as_str)
                        .unwrap_or(DETAIL);
                }
                continue;
            }
            Part::ToolCall {
                id,
                name,
                arguments,
            } => Item::Known(Known::FunctionCall {
                call_id: id,
                name,
                arguments: arguments_text(arguments),
            }),
            Part::ToolResult {
                id,
                parts,
                is_error,
            } => Item::Known(Known::FunctionCallOutput {
                call_id: id,
                output: output(parts, *is_error),
            }),
            Part::Other {
                dialect: Dialect::OpenaiResponses,
                value,
            } => Item::Other(value),
            Part::Image { .. }
            | Part::Thinking { .. }
            | Part::Other { .. }
            | Part::Extra { .. } => continue,
        };
        flush(message.role, &mut content, out);
        out.push(item);
    }
    flush(message.role, &mut content, out);
}

fn flush<'a>(role: ChatRole, content: &mut Vec<Content<'a>>, out: &mut Vec<Item<'a>>) {
    if content.is_empty() {
        return;
    }
    let content = std::mem::take(content);
    let content = match role {
        ChatRole::User => Output::Parts(content),
        // As parts, what the model said would need the provider's ids of it; as a text it does not.
        ChatRole::Assistant => Output::Text(content.iter().filter_map(Content::text).collect()),
    };
    out.push(Item::Known(Known::Message { role, content }));
}

impl<'a> Content<'a> {
    const fn text(&self) -> Option<&'a str> {
        match self {
            Self::InputText { text } => Some(text),
            Self::InputImage { .. } => None,
        }
    }
}

fn output(parts: &[Part], is_error: bool) -> Output<'_> {
    let has_images = parts.iter().any(|part| matches!(part, Part::Image { .. }));
    if !has_images {
        let mut text = if is_error {
            "error: ".to_owned()
        } else {
            String::new()
        };
        for part in parts {
            if let Part::Text { text: more } = part {
                text.push_str(more);
            }
        }
        return Output::Text(text);
    }
    let parts = parts.iter().filter_map(|part| match part {
        Part::Text { text } if !text.is_empty() => Some(Content::InputText { text }),
        Part::Image { image } => Some(Content::InputImage {
            image_url: url(image),
            detail: DETAIL,
        }),
        _ => None,
    });
    Output::Parts(parts.collect())
}
