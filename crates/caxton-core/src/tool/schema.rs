//! Whether a schema may be validated with at all. Schemas come from tenants and from servers of theirs,
//! and JSON Schema can say in a few lines what takes for ever: references that multiply, or that lead
//! back without going on in the value. So how much one value can cost is bounded before the first.
//!
//! Followed are the keywords of drafts 4 to 2020-12. References lead to places in the same schema
//! (`#`, `#/…`) and nowhere else.

use crate::error::{Code, Error, shown};
use serde_json::Value;
use std::collections::HashMap;

/// How deep a value may be.
pub const DEPTH_MAX: u32 = 32;
/// Values in a value: its own, and all that it contains.
pub const VALUES_MAX: usize = 20_000;
/// Schemas that may be looked at on the way from a value to its deepest part.
pub const COST_MAX: u64 = 5_000;
/// Schemas in a schema.
const SCHEMAS_MAX: usize = 10_000;
/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 512;

/// Keywords whose schemas look at the same value.
const SAME: [&str; 9] = [
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependencies",
];
/// Keywords whose schemas look at parts of it.
const INNER: [&str; 12] = [
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "items",
    "prefixItems",
    "additionalItems",
    "contains",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
    "extends",
];
/// Keywords that name what is elsewhere, or change what references mean.
const REFUSED: [&str; 5] = [
    "$dynamicRef",
    "$recursiveRef",
    "$dynamicAnchor",
    "$recursiveAnchor",
    "$anchor",
];

/// Checks a schema. Errors: `CX-8002`, saying where.
pub fn check(schema: &Value) -> Result<(), Error> {
    let mut walk = Walk {
        root: schema,
        known: HashMap::new(),
        open: Vec::new(),
        seen: 0,
    };
    let cost = walk.cost(schema, DEPTH_MAX)?;
    if cost > COST_MAX {
        return Err(malformed(
            "the schema's references and alternatives multiply to more than can be checked",
        ));
    }
    Ok(())
}

/// Checks what is to be validated. Errors: `CX-8007`.
pub fn check_value(value: &Value) -> Result<(), Error> {
    let mut left = VALUES_MAX;
    if within(value, DEPTH_MAX, &mut left) {
        return Ok(());
    }
    let detail = format!("more than {DEPTH_MAX} levels deep, or more than {VALUES_MAX} values");
    Err(Error::new(Code::ToolArguments, detail))
}

fn within(value: &Value, depth: u32, left: &mut usize) -> bool {
    if depth == 0 || *left == 0 {
        return false;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter().all(|item| within(item, depth - 1, left)),
        Value::Object(fields) => fields.values().all(|item| within(item, depth - 1, left)),
        _ => true,
    }
}

struct Walk<'a> {
    root: &'a Value,
    /// Costs that are known, by schema and depth.
    known: HashMap<(*const Value, u32), u64>,
    /// Schemas that are being looked at, each with its depth: one that is met again goes in a circle.
    open: Vec<(*const Value, u32)>,
    seen: usize,
}

impl<'a> Walk<'a> {
    /// How many schemas are looked at for one value and what is in it, so deep.
    fn cost(&mut self, schema: &'a Value, depth: u32) -> Result<u64, Error> {
        let Some(fields) = schema.as_object() else {
            return Ok(1);
        };
        if depth == 0 {
            return Ok(1);
        }
        let place = (std::ptr::from_ref(schema), depth);
        if let Some(cost) = self.known.get(&place) {
            return Ok(*cost);
        }
        if self.open.contains(&place) {
            return Err(malformed(
                "a schema refers to itself without going on to a part of the value",
            ));
        }
        self.seen += 1;
        if self.seen > SCHEMAS_MAX * DEPTH_MAX as usize || self.open.len() > 1_000 {
            return Err(malformed("the schema has too many parts"));
        }
        self.open.push(place);
        let mut cost = 1_u64;
        for (name, value) in fields {
            let name = name.as_str();
            if REFUSED.contains(&name) && !value.is_object() {
                return Err(malformed(&format!(
                    "the schema has `{name}`, which is not supported"
                )));
            }
            if name == "pattern"
                && value
                    .as_str()
                    .is_some_and(|it| it.len() > PATTERN_BYTES_MAX)
            {
                return Err(malformed("the schema has a pattern that is too long"));
            }
            let below = match name {
                // A property may be called so.
                "$ref" if value.is_object() => self.cost(value, depth)?,
                "$ref" => self.cost(self.target(value)?, depth)?,
                name if SAME.contains(&name) => self.all(value, depth)?,
                name if INNER.contains(&name) => self.all(value, depth - 1)?,
                _ => 0,
            };
            cost = cost.saturating_add(below);
        }
        self.open.pop();
        self.known.insert(place, cost);
        Ok(cost)
    }

    /// A schema, a list of them, or a map to them.
    fn all(&mut self, value: &'a Value, depth: u32) -> Result<u64, Error> {
        let mut cost = 0_u64;
        match value {
            Value::Array(items) => {
                for item in items {
                    cost = cost.saturating_add(self.cost(item, depth)?);
                }
            }
            Value::Object(fields) => {
                // What is a map to schemas, and what is a schema, cannot be told apart without its
                // keyword; counted are both readings.
                cost = self.cost(value, depth)?;
                for item in fields.values().filter(|it| it.is_object()) {
                    cost = cost.saturating_add(self.cost(item, depth)?);
                }
            }
            _ => {}
        }
        Ok(cost)
    }

    fn target(&self, reference: &Value) -> Result<&'a Value, Error> {
        let text = reference.as_str().unwrap_or_default();
        let place = text.strip_prefix('#').map(|place| self.root.pointer(place));
        match place {
            Some(Some(target)) => Ok(target),
            Some(None) => Err(malformed(&format!(
                "`{}` is nowhere in the schema",
                shown(text)
            ))),
            None => Err(malformed(&format!(
                "`{}` leads out of the schema, and nothing is fetched for one",
                shown(text)
            ))),
        }
    }
}

fn malformed(detail: &str) -> Error {
    Error::new(Code::ToolMalformed, detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn what_people_write_is_taken() {
        for schema in [
            json!({"type": "object"}),
            json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^a+$"}}}),
            // A tree.
            json!({
                "$ref": "#/$defs/node",
                "$defs": {"node": {"type": "object", "properties": {
                    "name": {"type": "string"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                }}},
            }),
            json!({"properties": {"properties": {"type": "object"}, "items": {"type": "string"}}}),
        ] {
            check(&schema).unwrap();
        }
    }

    #[test]
    fn what_never_ends_or_leads_elsewhere_is_refused() {
        let mut laughs = serde_json::Map::new();
        for n in 0..20 {
            let next = format!("#/$defs/l{}", n + 1);
            laughs.insert(
                format!("l{n}"),
                json!({"allOf": [{"$ref": next}, {"$ref": next}]}),
            );
        }
        laughs.insert("l20".into(), json!({"type": "string"}));
        for (schema, why) in [
            (json!({"$ref": "#/$defs/l0", "$defs": laughs}), "multiply"),
            (json!({"$ref": "#"}), "itself"),
            (json!({"allOf": [{"$ref": "#"}]}), "itself"),
            (
                json!({"properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}}),
                "multiply",
            ),
            (
                json!({"$ref": "http://169.254.169.254/x"}),
                "out of the schema",
            ),
            (
                json!({"items": {"$ref": "file:///etc/passwd"}}),
                "out of the schema",
            ),
            (json!({"$ref": "#/$defs/none"}), "nowhere"),
            (json!({"$dynamicRef": "#a"}), "not supported"),
            (json!({"pattern": "a".repeat(1_000)}), "too long"),
        ] {
            let error = check(&schema).unwrap_err();
            assert!(error.detail.contains(why), "{}: {schema}", error.detail);
        }
    }

    #[test]
    fn values_are_bounded_in_depth_and_number() {
        let mut deep = json!(1);
        for _ in 0..DEPTH_MAX {
            deep = json!([deep]);
        }
        assert!(check_value(&deep).is_err());
        assert!(check_value(&json!(vec![0; VALUES_MAX])).is_err());
        check_value(&json!({"a": vec![0; 1_000]})).unwrap();
    }
}
