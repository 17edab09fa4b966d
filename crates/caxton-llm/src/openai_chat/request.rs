//! A request in Chat Completions' words.

use crate::json::Fields;
use crate::quirks::Quirk;
use crate::traits::Traits;
use crate::wire::Outgoing;
use caxton_core::model::{
    AnswerForm, ChatMessage, ChatRole, Dialect, Extra, Image, ModelRequest, Part, ToolChoice,
    ToolSpec,
};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The request. The endpoint's base address ends with the version (`…/v1`).
pub fn request(request: &ModelRequest, model: &str, traits: &Traits) -> Outgoing {
    let mut body = Fields::new();
    body.put("model", model);
    body.put("messages", &messages(request));
    body.put("stream", &true);
    if !traits.quirks.has(Quirk::NoStreamOptions) {
        body.put("stream_options", &stream_options(traits));
    }
    body.put(ceiling(traits), &request.output_tokens_max);
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
    if !request.stop.is_empty() && !traits.quirks.has(Quirk::NoStop) {
        body.put("stop", &request.stop);
    }
    body.put_some(
        "reasoning_effort",
        request.thinking.and_then(|it| traits.effort(it)).as_ref(),
    );
    let ours = ours(request.extra.as_ref());
    let given = ours.is_some_and(|it| it.contains_key(FORMAT));
    let form = request.form.as_ref().filter(|_| !given).map(form);
    body.put_some(FORMAT, form.as_ref());
    body.extra(ours);
    Outgoing {
        path: "/chat/completions",
        headers: Vec::new(),
        body: body.finish(),
    }
}

/// The field that says what form the answer is to have.
const FORMAT: &str = "response_format";
/// What a form is called that has no name elsewhere.
const FORM_NAME: &str = "answer";

fn form(form: &AnswerForm) -> Value {
    match &form.schema {
        None => json!({"type": "json_object"}),
        Some(_) => json!({"type": "json_schema", "json_schema": form_fields(form)}),
    }
}

/// A form's schema and what belongs to it.
pub fn form_fields(form: &AnswerForm) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        fields.extend(value.map(|value| (name.to_owned(), value)));
    };
    let name = form.name.as_deref().unwrap_or(FORM_NAME);
    put("name", Some(name.into()));
    put("description", form.description.as_deref().map(Value::from));
    put("schema", form.schema.clone());
    put("strict", form.strict.map(Value::from));
    fields
}

/// Fields that this dialect's clients gave.
fn ours(extra: Option<&Extra>) -> Option<&Map<String, Value>> {
    extra.and_then(|(dialect, map)| (*dialect == Dialect::OpenaiChat).then_some(map))
}

/// Usage in the last chunk. Padding against traffic analysis doubles what is to be read; a server
/// between here and the client takes its use away anyway.
fn stream_options(traits: &Traits) -> Value {
    if traits.official {
        json!({"include_usage": true, "include_obfuscation": false})
    } else {
        json!({"include_usage": true})
    }
}

/// `OpenAI` has replaced `max_tokens`; most others have not.
fn ceiling(traits: &Traits) -> &'static str {
    if traits.official == traits.quirks.has(Quirk::OtherCeiling) {
        "max_tokens"
    } else {
        "max_completion_tokens"
    }
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Piece<'a>>),
}

/// A part of a message's content.
enum Piece<'a> {
    Text(&'a str),
    Image(Cow<'a, str>, Option<&'a Map<String, Value>>),
    Other(&'a Value),
}

impl Serialize for Piece<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Text<'a> {
            r#type: &'static str,
            text: &'a str,
        }
        #[derive(Serialize)]
        struct Picture<'a> {
            r#type: &'static str,
            image_url: Url<'a>,
        }
        #[derive(Serialize)]
        struct Url<'a> {
            url: &'a str,
            #[serde(flatten)]
            extra: Option<&'a Map<String, Value>>,
        }
        match self {
            Self::Text(text) => Text {
                r#type: "text",
                text,
            }
            .serialize(to),
            Self::Image(url, extra) => Picture {
                r#type: "image_url",
                image_url: Url { url, extra: *extra },
            }
            .serialize(to),
            Self::Other(value) => value.serialize(to),
        }
    }
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    /// JSON, as text.
    arguments: Cow<'a, str>,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: Described<'a>,
}

#[derive(Serialize)]
struct Described<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    parameters: &'a Value,
    #[serde(flatten)]
    extra: Option<&'a Map<String, Value>>,
}

impl<'a> Tool<'a> {
    fn of(tool: &'a ToolSpec) -> Self {
        Self {
            r#type: "function",
            function: Described {
                name: &tool.name,
                description: &tool.description,
                parameters: &tool.schema,
                extra: ours(tool.extra.as_ref()),
            },
        }
    }
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

fn messages(request: &ModelRequest) -> Vec<Message<'_>> {
    let mut out = Vec::with_capacity(request.messages.len() + 1);
    if !request.system.is_empty() {
        out.push(plain("system", request.system.as_str().into()));
    }
    for message in &request.messages {
        match message.role {
            ChatRole::User => user(message, &mut out),
            ChatRole::Assistant => out.extend(assistant(message)),
        }
    }
    out
}

fn plain<'a>(role: &'static str, text: Cow<'a, str>) -> Message<'a> {
    Message {
        role,
        content: Some(Content::Text(text)),
        tool_calls: Vec::new(),
        tool_call_id: None,
    }
}

/// What tools answered comes first, each as a message of its own, then what the user says. A tool's
/// message has text only: its pictures follow as the user's.
fn user<'a>(message: &'a ChatMessage, out: &mut Vec<Message<'a>>) {
    let mut pieces: Vec<Piece<'a>> = Vec::new();
    for part in &message.parts {
        let Part::ToolResult {
            id,
            parts,
            is_error,
        } = part
        else {
            continue;
        };
        let mut text = String::new();
        if *is_error {
            text.push_str("error: ");
        }
        for part in parts {
            match part {
                Part::Text { text: more } => text.push_str(more),
                Part::Image { image } => {
                    text.push_str("[picture below]");
                    pieces.push(Piece::Image(url(image), None));
                }
                _ => {}
            }
        }
        out.push(Message {
            tool_call_id: Some(id),
            ..plain("tool", text.into())
        });
    }
    for part in &message.parts {
        match part {
            Part::Text { text } if !text.is_empty() => pieces.push(Piece::Text(text)),
            Part::Image { image } => pieces.push(Piece::Image(url(image), None)),
            Part::Extra {
                dialect: Dialect::OpenaiChat,
                fields,
            } => {
                if let Some(Piece::Image(_, extra)) = pieces.last_mut() {
                    *extra = Some(fields);
                }
            }
            Part::Other {
                dialect: Dialect::OpenaiChat,
                value,
            } => pieces.push(Piece::Other(value)),
            _ => {}
        }
    }
    match pieces.as_slice() {
        [] => {}
        [Piece::Text(text)] => out.push(plain("user", (*text).into())),
        _ => out.push(Message {
            content: Some(Content::Parts(pieces)),
            ..plain("user", Cow::Borrowed(""))
        }),
    }
}

/// Thinking is not given back: this protocol has no place for it.
fn assistant(message: &ChatMessage) -> Option<Message<'_>> {
    let mut texts: Vec<&str> = Vec::new();
    let mut tool_calls = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text { text } if !text.is_empty() => texts.push(text),
            Part::ToolCall {
                id,
                name,
                arguments,
            } => tool_calls.push(Call {
                id,
                r#type: "function",
                function: Function {
                    name,
                    arguments: arguments_text(arguments),
                },
            }),
            _ => {}
        }
    }
    let content = match texts.as_slice() {
        [] if tool_calls.is_empty() => return None,
        [] => None,
        [text] => Some(Content::Text((*text).into())),
        texts => Some(Content::Text(texts.concat().into())),
    };
    Some(Message {
        role: "assistant",
        content,
        tool_calls,
        tool_call_id: None,
    })
}

/// Arguments as the model wrote them: those that were no JSON are still its text.
pub fn arguments_text(arguments: &Value) -> Cow<'_, str> {
    match arguments {
        Value::String(text) => text.as_str().into(),
        value => value.to_string().into(),
    }
}

/// A picture's address, or the picture as one.
pub fn url(image: &Image) -> Cow<'_, str> {
    match image {
        Image::Url(url) => url.as_str().into(),
        Image::Data { media_type, data } => format!("data:{media_type};base64,{data}").into(),
    }
}
