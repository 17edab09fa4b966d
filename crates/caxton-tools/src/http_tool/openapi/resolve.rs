//! References of a document, put in place of what they refer to. A schema that a function has must say
//! all by itself. What refers to itself is left open where it does so again.

use caxton_core::error::{Code, Error, shown};
use serde_json::{Map, Value, json};

/// How deep references and schemas are followed; what lies deeper may be anything.
const DEPTH_MAX: usize = 24;
/// References that lead on to references.
const HOPS_MAX: usize = 16;
/// Values of one function's schemas: references to references multiply.
const VALUES_MAX: usize = 10_000;
/// Bytes of text that count as one value.
const VALUE_BYTES: usize = 64;
/// Keys whose value is a schema for each name in it.
const NAMED: [&str; 5] = [
    "properties",
    "patternProperties",
    "dependentSchemas",
    "$defs",
    "definitions",
];
/// Keys whose value is a value, whatever it looks like.
const VERBATIM: [&str; 5] = ["enum", "const", "default", "examples", "required"];
/// What says nothing to a model or a validator.
const DROPPED: [&str; 6] = [
    "xml",
    "externalDocs",
    "discriminator",
    "example",
    "nullable",
    "$ref",
];

/// How much more one function's schemas may grow.
#[derive(Clone, Copy, Debug)]
pub struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(VALUES_MAX)
    }
}

impl Budget {
    fn spend(&mut self, values: usize) -> Result<(), String> {
        let left = self.0.checked_sub(values);
        self.0 =
            left.ok_or_else(|| format!("its schemas grow to more than {VALUES_MAX} values"))?;
        Ok(())
    }
}

/// How many values one is, long texts counting as many.
fn count(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len() / VALUE_BYTES,
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// Refuses a document with a reference that leads out of it.
pub fn check_local(root: &Value) -> Result<(), Error> {
    let mut left = vec![root];
    while let Some(value) = left.pop() {
        if let Some(target) = value.get("$ref").and_then(Value::as_str)
            && !target.starts_with("#/")
        {
            let text = format!(
                "the document refers to `{}`: only references into itself (`#/…`) are followed",
                shown(target)
            );
            return Err(Error::new(Code::ToolMalformed, text));
        }
        match value {
            Value::Object(fields) => left.extend(fields.values()),
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
    Ok(())
}

/// A document whose references are all into itself.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    root: &'a Value,
}

impl<'a> Document<'a> {
    pub const fn new(root: &'a Value) -> Self {
        Self { root }
    }

    /// What a value is, or what it refers to.
    pub fn follow(&self, mut value: &'a Value) -> Result<&'a Value, String> {
        for _ in 0..HOPS_MAX {
            let Some(target) = value.get("$ref").and_then(Value::as_str) else {
                return Ok(value);
            };
            value = self.at(target)?;
        }
        Err("a reference leads on for ever".to_owned())
    }

    fn at(&self, target: &str) -> Result<&'a Value, String> {
        let found = target
            .strip_prefix('#')
            .and_then(|it| self.root.pointer(it));
        found.ok_or_else(|| format!("`{}` is not in the document", shown(target)))
    }

    /// A schema without references, in the words of JSON Schema 2020-12.
    pub fn schema(&self, schema: &Value, budget: &mut Budget) -> Result<Value, String> {
        self.inlined(schema, budget, &mut Vec::new(), 0)
    }

    fn inlined(
        &self,
        value: &Value,
        budget: &mut Budget,
        within: &mut Vec<String>,
        depth: usize,
    ) -> Result<Value, String> {
        budget.spend(1)?;
        if depth > DEPTH_MAX {
            return Ok(json!({}));
        }
        match value {
            Value::Object(fields) => {
                if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                    if within.iter().any(|it| it == target) {
                        return Ok(json!({}));
                    }
                    within.push(target.to_owned());
                    let found = self.inlined(self.at(target)?, budget, within, depth + 1);
                    within.pop();
                    return found;
                }
                let mut kept = Map::new();
                for (key, value) in fields {
                    if !DROPPED.contains(&key.as_str()) && !key.starts_with("x-")
                        || key == "x-secret"
                    {
                        let value = self.keyword(key, value, budget, within, depth)?;
                        kept.insert(key.clone(), value);
                    }
                }
                modernise(&mut kept, fields);
                Ok(Value::Object(kept))
            }
            Value::Array(items) => {
                let items = items
                    .iter()
                    .map(|it| self.inlined(it, budget, within, depth + 1));
                items.collect::<Result<_, _>>().map(Value::Array)
            }
            other => {
                budget.spend(count(other))?;
                Ok(other.clone())
            }
        }
    }

    fn keyword(
        &self,
        key: &str,
        value: &Value,
        budget: &mut Budget,
        within: &mut Vec<String>,
        depth: usize,
    ) -> Result<Value, String> {
        if VERBATIM.contains(&key) {
            budget.spend(count(value))?;
            return Ok(value.clone());
        }
        match value {
            Value::Object(named) if NAMED.contains(&key) => {
                let mut kept = Map::new();
                for (name, schema) in named {
                    let schema = self.inlined(schema, budget, within, depth + 1)?;
                    kept.insert(name.clone(), schema);
                }
                Ok(Value::Object(kept))
            }
            _ => self.inlined(value, budget, within, depth + 1),
        }
    }
}

/// What 3.0 says in words of its own: `nullable`, and bounds that are exclusive by a flag.
fn modernise(kept: &mut Map<String, Value>, before: &Map<String, Value>) {
    if before.get("nullable") == Some(&Value::Bool(true)) {
        if let Some(Value::String(one)) = kept.get("type") {
            let both = json!([one, "null"]);
            kept.insert("type".to_owned(), both);
        }
        if let Some(Value::Array(values)) = kept.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    for (flag, bound) in [
        ("exclusiveMinimum", "minimum"),
        ("exclusiveMaximum", "maximum"),
    ] {
        if let Some(Value::Bool(is_exclusive)) = kept.get(flag) {
            let is_exclusive = *is_exclusive;
            kept.remove(flag);
            if is_exclusive && let Some(value) = kept.remove(bound) {
                kept.insert(flag.to_owned(), value);
            }
        }
    }
}
