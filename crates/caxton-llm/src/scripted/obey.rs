//! A model that does what it is told by whoever speaks last, a tool's answer included: the worst case
//! of what untrusted text can make of a model, for tests of what stands around it.

use caxton_core::model::{ChatMessage, ChatRole, ModelRequest, Part};
use serde_json::Value;

/// Calls that one text may ask for.
const CALLS_MAX: usize = 16;

/// What is asked for: `CALL name {json}`, as often as it stands there.
pub fn calls(text: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("CALL ") {
        rest = rest
            .get(at + "CALL ".len()..)
            .unwrap_or_default()
            .trim_start();
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
        let end = rest.find(|c| !plain(c)).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        rest = tail;
        if name.is_empty() || found.len() >= CALLS_MAX {
            continue;
        }
        let json = tail.trim_start();
        let mut stream = serde_json::Deserializer::from_str(json).into_iter::<Value>();
        let arguments = match stream.next() {
            Some(Ok(value @ Value::Object(_))) => {
                rest = json.get(stream.byte_offset()..).unwrap_or_default();
                value
            }
            _ => Value::Object(serde_json::Map::new()),
        };
        found.push((name.to_owned(), arguments));
    }
    found
}

/// The newest message of the user's side: its own text, and what tools answered.
pub fn newest(request: &ModelRequest) -> (String, String) {
    let Some(last) = request
        .messages
        .last()
        .filter(|it| it.role == ChatRole::User)
    else {
        return (String::new(), String::new());
    };
    let results = last.parts.iter().filter_map(|part| match part {
        Part::ToolResult { parts, .. } => Some(ChatMessage {
            role: ChatRole::User,
            parts: parts.clone(),
        }),
        _ => None,
    });
    let results: Vec<String> = results.map(|it| it.text()).collect();
    (last.text(), results.join("\n"))
}
