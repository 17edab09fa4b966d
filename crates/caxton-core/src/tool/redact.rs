//! What of a call's arguments is written down: all but what the function's schema calls secret
//! (`writeOnly`, `format: password`, `x-secret`), and of long texts the beginning.
//!
//! A value is governed by every schema that speaks of it: the one at its place, what that refers to or
//! is put together from, and each of those may call it secret. Where it cannot be said which schemas
//! those are, it is secret.

use serde_json::Value;

/// Longest text of an argument that is written down, in characters.
pub const TEXT_CHARS_MAX: usize = 2_000;
/// How deep arguments are followed; what lies deeper is left out.
const DEPTH_MAX: u32 = 32;
/// Schemas that are looked at for one value; `tool::schema` lets no more multiply.
const SCHEMAS_MAX: usize = 1_024;
/// Shortest secret that is looked for in other texts, in bytes: less would be found everywhere.
const HIDDEN_BYTES_MIN: usize = 3;
/// Secrets of one call that are looked for in other texts.
const HIDDEN_MAX: usize = 64;
/// What stands for a secret.
const SECRET: &str = "[redacted]";

/// The arguments as they may be kept.
pub fn arguments(schema: &Value, arguments: &Value) -> Value {
    Reader::new(schema, TEXT_CHARS_MAX).redacted(&[schema], arguments, 0)
}

/// The same with long texts whole: for whoever must agree to all of them.
pub fn whole(schema: &Value, arguments: &Value) -> Value {
    Reader::new(schema, usize::MAX).redacted(&[schema], arguments, 0)
}

/// What is secret among the arguments, as texts that are to be found nowhere else.
pub fn secrets(schema: &Value, arguments: &Value) -> Vec<String> {
    let mut reader = Reader::new(schema, TEXT_CHARS_MAX);
    reader.redacted(&[schema], arguments, 0);
    let mut found = reader.secrets;
    // The longest first: one may be a part of another.
    found.sort_by_key(|text| std::cmp::Reverse(text.len()));
    found.dedup();
    found
}

/// A text without the secrets that it repeats.
pub fn hidden(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| {
        text.replace(secret.as_str(), SECRET)
    })
}

/// Goes through arguments, and what their schemas say of them.
struct Reader<'a> {
    root: &'a Value,
    text_chars_max: usize,
    secrets: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(root: &'a Value, text_chars_max: usize) -> Self {
        Self {
            root,
            text_chars_max,
            secrets: Vec::new(),
        }
    }

    fn redacted(&mut self, schemas: &[&'a Value], value: &Value, depth: u32) -> Value {
        if depth > DEPTH_MAX {
            return Value::String("[too deep]".to_owned());
        }
        let Some(all) = self.all(schemas) else {
            return self.secret(value);
        };
        if all.iter().any(|schema| is_secret(schema)) {
            return self.secret(value);
        }
        match value {
            Value::Object(fields) => {
                let kept = fields.iter().map(|(name, value)| {
                    let of = of_property(&all, name);
                    (name.clone(), self.redacted(&of, value, depth + 1))
                });
                Value::Object(kept.collect())
            }
            Value::Array(items) => {
                let kept = items.iter().enumerate().map(|(at, item)| {
                    let of = of_item(&all, at);
                    self.redacted(&of, item, depth + 1)
                });
                Value::Array(kept.collect())
            }
            Value::String(text) => match text.char_indices().nth(self.text_chars_max) {
                Some((at, _)) => {
                    let (head, tail) = text.split_at(at);
                    Value::String(format!("{head} … ({} bytes more)", tail.len()))
                }
                None => value.clone(),
            },
            other => other.clone(),
        }
    }

    fn secret(&mut self, value: &Value) -> Value {
        self.remember(value, 0);
        Value::String(SECRET.to_owned())
    }

    fn remember(&mut self, value: &Value, depth: u32) {
        if depth > DEPTH_MAX {
            return;
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Array(items) => return items.iter().for_each(|it| self.remember(it, depth + 1)),
            Value::Object(fields) => {
                return fields.values().for_each(|it| self.remember(it, depth + 1));
            }
            Value::Null | Value::Bool(_) => return,
        };
        if text.len() >= HIDDEN_BYTES_MIN && self.secrets.len() < HIDDEN_MAX {
            // Errors write texts as JSON has them.
            let quoted = Value::from(text.as_str()).to_string();
            let inner = quoted.trim_matches('"');
            if inner != text {
                self.secrets.push(inner.to_owned());
            }
            self.secrets.push(text);
        }
    }

    /// These schemas, with all that they refer to and are put together from. `None`: they cannot all be
    /// found.
    fn all(&self, schemas: &[&'a Value]) -> Option<Vec<&'a Value>> {
        let mut all: Vec<&'a Value> = Vec::new();
        let mut open: Vec<&'a Value> = schemas.to_vec();
        while let Some(schema) = open.pop() {
            if all.iter().any(|known| std::ptr::eq(*known, schema)) {
                continue;
            }
            if all.len() == SCHEMAS_MAX {
                return None;
            }
            all.push(schema);
            if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
                open.push(self.root.pointer(target.strip_prefix('#')?)?);
            }
            for list in ["allOf", "anyOf", "oneOf"] {
                open.extend(
                    schema
                        .get(list)
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten(),
                );
            }
            for one in ["if", "then", "else", "not"] {
                open.extend(schema.get(one));
            }
            for named in ["dependentSchemas", "dependencies"] {
                let named = schema.get(named).and_then(Value::as_object);
                let named = named.into_iter().flat_map(|all| all.values());
                open.extend(named.filter(|it| it.is_object()));
            }
        }
        Some(all)
    }
}

fn is_secret(schema: &Value) -> bool {
    let yes = |name: &str| schema.get(name).and_then(Value::as_bool) == Some(true);
    let is_password = schema.get("format").and_then(Value::as_str) == Some("password");
    yes("writeOnly") || yes("x-secret") || is_password
}

/// What speaks of a property: which names a pattern takes is not asked, all of them do.
fn of_property<'a>(schemas: &[&'a Value], name: &str) -> Vec<&'a Value> {
    let mut of = Vec::new();
    for schema in schemas {
        let named = schema.get("properties").and_then(|all| all.get(name));
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        of.extend(named);
        of.extend(patterns.into_iter().flat_map(|all| all.values()));
        let others = ["additionalProperties", "unevaluatedProperties"];
        if named.is_none() {
            of.extend(others.iter().filter_map(|other| schema.get(other)));
        }
    }
    of.retain(|schema| schema.is_object());
    of
}

fn of_item<'a>(schemas: &[&'a Value], at: usize) -> Vec<&'a Value> {
    let mut of = Vec::new();
    for schema in schemas {
        for keyword in ["items", "contains", "additionalItems", "unevaluatedItems"] {
            match schema.get(keyword) {
                // Older drafts have lists there.
                Some(Value::Array(list)) => of.extend(list.get(at)),
                other => of.extend(other),
            }
        }
        let places = schema.get("prefixItems").and_then(Value::as_array);
        of.extend(places.and_then(|places| places.get(at)));
    }
    of.retain(|schema| schema.is_object());
    of
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(schema: &Value, given: &Value, kept: &Value) {
        assert_eq!(arguments(schema, given), *kept, "{schema}");
    }

    #[test]
    fn whatever_schema_calls_a_value_secret_it_is() {
        let secret = json!({"type": "string", "writeOnly": true});
        let plain = json!({"type": "string"});
        let given = json!({"p": "hunter2", "q": "plain"});
        let kept = json!({"p": SECRET, "q": "plain"});
        let defs = json!({"word": {"$ref": "#/$defs/text"}, "text": secret, "plain": plain});
        for schema in [
            json!({"properties": {"p": {"$ref": "#/$defs/word"}, "q": plain}, "$defs": defs}),
            // Beside a reference, which says nothing of it.
            json!({"properties": {"p": {"$ref": "#/$defs/plain", "x-secret": true}}, "$defs": defs}),
            // In another part than the one that names it first.
            json!({"properties": {"p": plain}, "allOf": [{"properties": {"p": secret}}]}),
            json!({"anyOf": [{"properties": {"p": plain}}, {"properties": {"p": secret}}]}),
            json!({"if": {"required": ["q"]}, "then": {"properties": {"p": secret}}}),
            json!({"dependentSchemas": {"q": {"properties": {"p": secret}}}}),
            json!({"properties": {"q": plain}, "additionalProperties": secret}),
        ] {
            check(&schema, &given, &kept);
        }
        let pattern = json!({"patternProperties": {"^p": secret}});
        check(&pattern, &json!({"p": "hunter2"}), &json!({"p": SECRET}));
        let lost = json!({"properties": {"p": {"$ref": "#/$defs/none"}}});
        check(&lost, &given, &kept);
        let list = json!({"prefixItems": [plain, secret], "items": secret});
        check(&list, &json!(["a", "b"]), &json!([SECRET, SECRET]));
        let list = json!({"allOf": [{"items": {"properties": {"p": secret}}}]});
        check(
            &list,
            &json!([{"p": 1, "q": 2}]),
            &json!([{"p": SECRET, "q": 2}]),
        );
    }

    #[test]
    fn secrets_are_found_in_what_is_said_of_them() {
        let schema = json!({"properties": {"p": {"format": "password"}, "n": {"x-secret": true}}});
        let given = json!({"p": "hun\"ter2", "n": [12_345, true, "ab"], "q": "open"});
        let found = secrets(&schema, &given);
        assert_eq!(found, ["hun\\\"ter2", "hun\"ter2", "12345"]);
        let said = r#"/p: "hun\"ter2" is no number; hun"ter2, 12345 and open"#;
        assert_eq!(
            hidden(said, &found),
            r#"/p: "[redacted]" is no number; [redacted], [redacted] and open"#
        );
    }

    #[test]
    fn whoever_must_agree_sees_all_that_is_no_secret() {
        let schema = json!({"properties": {"p": {"writeOnly": true}}});
        let long = "x".repeat(TEXT_CHARS_MAX + 1);
        let given = json!({"p": "hunter2", "q": long});
        assert_eq!(whole(&schema, &given), json!({"p": SECRET, "q": long}));
    }
}
