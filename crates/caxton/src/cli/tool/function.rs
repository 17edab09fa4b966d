//! One function of a tool for people: what it is for, and what it takes.

use crate::cli::output::{fields, printable};
use caxton_api::v1::ToolFunction;
use serde_json::Value;
use std::fmt::Write as _;

/// Objects in objects that are written out; below it stands their type.
const DEPTH_MAX: usize = 4;

/// A function with its description and each of its arguments.
pub(super) fn text(function: &ToolFunction) -> String {
    let mut text = fields(&[
        ("function", function.id.clone()),
        ("effect", function.effect.clone()),
        ("state", function.state.clone()),
    ]);
    if !function.description.is_empty() {
        text.push('\n');
        for line in function.description.lines() {
            let _ = writeln!(text, "{}", printable(line));
        }
    }
    let _ = write!(text, "\narguments\n{}", arguments(function));
    text
}

/// What it takes, a line for each argument.
pub(super) fn arguments(function: &ToolFunction) -> String {
    let schema = function.input_schema.as_ref();
    let schema = schema.map(|it| Value::Object(it.0.clone()));
    let rows = schema.as_ref().map(|it| rows(it, 0)).unwrap_or_default();
    match rows.is_empty() {
        true => "  none\n".to_owned(),
        false => columns(&rows),
    }
}

/// An argument: its name, what it may be, and what it is for.
struct Row {
    name: String,
    kind: String,
    what: String,
}

/// The properties of an object, in the order of its schema, each followed by its own.
fn rows(schema: &Value, depth: usize) -> Vec<Row> {
    let mut all = Vec::new();
    let required = schema.get("required").and_then(Value::as_array);
    let needed = |name: &str| required.is_some_and(|all| all.iter().any(|it| it == name));
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, of) in properties.into_iter().flatten() {
        let mark = if needed(name) { "" } else { "?" };
        all.push(Row {
            name: format!("{:width$}{}{mark}", "", printable(name), width = depth * 2),
            kind: printable(&kind(of)),
            what: what(of),
        });
        if depth < DEPTH_MAX {
            // What an array holds is written as its own would be.
            all.extend(rows(of.get("items").unwrap_or(of), depth + 1));
        }
    }
    all
}

/// `string`, `integer 1..100`, `"a" | "b"`, `array of string`.
fn kind(schema: &Value) -> String {
    if let Some(all) = schema.get("enum").and_then(Value::as_array) {
        let all: Vec<String> = all.iter().map(Value::to_string).collect();
        return all.join(" | ");
    }
    let mut text = match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            kinds.join(" | ")
        }
        _ => "any".to_owned(),
    };
    if let Some(items) = schema.get("items") {
        let _ = write!(text, " of {}", kind(items));
    }
    let bound = |key: &str| schema.get(key).map(Value::to_string);
    match (bound("minimum"), bound("maximum")) {
        (None, None) => {}
        (low, high) => {
            let _ = write!(
                text,
                " {}..{}",
                low.unwrap_or_default(),
                high.unwrap_or_default()
            );
        }
    }
    text
}

fn what(schema: &Value) -> String {
    let description = schema.get("description").and_then(Value::as_str);
    let default = schema.get("default").map(|it| format!("default: {it}"));
    let parts = description.map(str::to_owned).into_iter().chain(default);
    printable(&parts.collect::<Vec<_>>().join("; "))
}

fn columns(rows: &[Row]) -> String {
    let width = |of: fn(&Row) -> &str| rows.iter().map(|it| of(it).chars().count()).max();
    let name = width(|it| &it.name).unwrap_or(0);
    // One long list of values does not push what all are for out of sight.
    let kind = width(|it| &it.kind).unwrap_or(0).min(32);
    let mut text = String::new();
    for it in rows {
        let line = format!("  {:name$}  {:kind$}  {}", it.name, it.kind, it.what);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_function_tells_what_it_takes() {
        let schema = json!({
            "type": "object",
            "required": ["to", "at"],
            "properties": {
                "to": {"type": "string", "description": "who gets it"},
                "at": {"type": "object", "required": ["hour"], "properties": {
                    "hour": {"type": "integer", "minimum": 0, "maximum": 23}
                }},
                "how": {"enum": ["fast", "slow"], "default": "slow"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "x\u{1b}[2J": {}
            }
        });
        let function = ToolFunction {
            id: "mail.send".to_owned(),
            effect: "acts".to_owned(),
            state: "agreed".to_owned(),
            description: "Sends a mail.".to_owned(),
            input_schema: Some(serde_json::from_value(schema).unwrap()),
            ..ToolFunction::default()
        };
        let expected = "\
function  mail.send
effect    acts
state     agreed

Sends a mail.

arguments
  to              string           who gets it
  at              object
    hour          integer 0..23
  how?            \"fast\" | \"slow\"  default: \"slow\"
  tags?           array of string
  x\\u{1b}[2J?  any
";
        assert_eq!(text(&function).replace(' ', ""), expected.replace(' ', ""));
    }
}
