//! What of a call's arguments is written down: all but what the function's schema calls secret
//! (`writeOnly`, `format: password`, `x-secret`), and of long texts the beginning.

use serde_json::Value;

/// Longest text of an argument that is written down, in characters.
pub const TEXT_CHARS_MAX: usize = 2_000;
/// How deep schemas and arguments are followed; what lies deeper is left out.
const DEPTH_MAX: u32 = 32;
/// What stands for a secret.
const SECRET: &str = "[redacted]";

/// The arguments as they may be kept.
pub fn arguments(schema: &Value, arguments: &Value) -> Value {
    redacted(Some(schema), schema, arguments, 0)
}

fn redacted(schema: Option<&Value>, root: &Value, value: &Value, depth: u32) -> Value {
    if depth > DEPTH_MAX {
        return Value::String("[too deep]".to_owned());
    }
    let schema = schema.map(|schema| resolved(schema, root));
    if schema.is_some_and(|schema| is_secret(schema, root, 0)) {
        return Value::String(SECRET.to_owned());
    }
    match value {
        Value::Object(fields) => {
            let of = |name: &str| schema.and_then(|schema| property(schema, root, name, 0));
            let kept = fields
                .iter()
                .map(|(name, value)| (name.clone(), redacted(of(name), root, value, depth + 1)));
            Value::Object(kept.collect())
        }
        Value::Array(items) => {
            let of = schema.and_then(|schema| schema.get("items"));
            let kept = items.iter().map(|item| redacted(of, root, item, depth + 1));
            Value::Array(kept.collect())
        }
        Value::String(text) => match text.char_indices().nth(TEXT_CHARS_MAX) {
            Some((at, _)) => {
                let (head, tail) = text.split_at(at);
                Value::String(format!("{head} … ({} bytes more)", tail.len()))
            }
            None => value.clone(),
        },
        other => other.clone(),
    }
}

/// What a reference into the same schema refers to.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let target = schema.get("$ref").and_then(Value::as_str);
    let place = target.and_then(|target| target.strip_prefix('#'));
    place
        .and_then(|place| root.pointer(place))
        .unwrap_or(schema)
}

/// The parts that a schema is put together from.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["allOf", "anyOf", "oneOf"].into_iter();
    let lists = lists.filter_map(|name| schema.get(name)?.as_array());
    lists.flatten()
}

fn is_secret(schema: &Value, root: &Value, depth: u32) -> bool {
    let yes = |name: &str| schema.get(name).and_then(Value::as_bool) == Some(true);
    let is_password = schema.get("format").and_then(Value::as_str) == Some("password");
    yes("writeOnly")
        || yes("x-secret")
        || is_password
        || depth < DEPTH_MAX
            && parts(schema).any(|part| is_secret(resolved(part, root), root, depth + 1))
}

fn property<'a>(schema: &'a Value, root: &'a Value, name: &str, depth: u32) -> Option<&'a Value> {
    let named = schema.get("properties").and_then(|all| all.get(name));
    named.or_else(|| {
        let mut parts = parts(schema).take_while(|_| depth < DEPTH_MAX);
        let found = parts.find_map(|part| property(resolved(part, root), root, name, depth + 1));
        found.or_else(|| {
            schema
                .get("additionalProperties")
                .filter(|it| it.is_object())
        })
    })
}
