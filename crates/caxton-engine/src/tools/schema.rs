//! Validation of arguments and results. Nothing is fetched for a schema, and patterns are matched by
//! an engine without backtracking; what else could take for ever, `core::tool::schema` refuses.

use caxton_core::error::{Code, Error};
use caxton_core::tool::{Function, schema};
use jsonschema::{PatternOptions, Retrieve, Uri, Validator};
use serde_json::Value;
use std::fmt;

/// Compiled size of one pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 256 << 10;
/// Faults that are told of one value.
const FAULTS_MAX: usize = 5;
/// Characters of what is told of each.
const FAULT_CHARS_MAX: usize = 300;

/// The schemas of a function, ready to be used.
pub(crate) struct Schemas {
    input: Validator,
    output: Option<Validator>,
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schemas")
    }
}

struct Nowhere;

impl Retrieve for Nowhere {
    fn retrieve(
        &self,
        _uri: &Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err("nothing is fetched for a schema".into())
    }
}

impl Schemas {
    /// Errors: `CX-8002`.
    pub(crate) fn of(function: &Function) -> Result<Self, Error> {
        let named = |error: Error| {
            let detail = format!("`{}`: {}", function.name, error.detail);
            Error::new(Code::ToolMalformed, detail)
        };
        let output = function.output.as_ref().map(compile).transpose();
        Ok(Self {
            input: compile(&function.input).map_err(named)?,
            output: output.map_err(named)?,
        })
    }

    /// Errors: `CX-8007`, saying where and what.
    pub(crate) fn check_arguments(&self, arguments: &Value) -> Result<(), Error> {
        schema::check_value(arguments)?;
        check(&self.input, arguments).map_err(|what| Error::new(Code::ToolArguments, what))
    }

    /// Errors: `CX-8011`.
    pub(crate) fn check_result(&self, result: &Value) -> Result<(), Error> {
        let malformed = |what: String| {
            let detail = format!("the result is not as its schema says: {what}");
            Error::new(Code::ToolAnswerMalformed, detail)
        };
        let Some(output) = &self.output else {
            return Ok(());
        };
        schema::check_value(result).map_err(|error| malformed(error.detail))?;
        check(output, result).map_err(malformed)
    }
}

fn compile(schema: &Value) -> Result<Validator, Error> {
    schema::check(schema)?;
    let patterns = PatternOptions::regex()
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX);
    let built = jsonschema::options()
        .with_retriever(Nowhere)
        .with_pattern_options(patterns)
        .build(schema);
    built.map_err(|error| {
        Error::new(
            Code::ToolMalformed,
            format!("the schema: {}", short(&error)),
        )
    })
}

fn check(validator: &Validator, value: &Value) -> Result<(), String> {
    let faults: Vec<String> = validator
        .iter_errors(value)
        .take(FAULTS_MAX)
        .map(|fault| match fault.instance_path().as_str() {
            "" => short(&fault),
            path => format!("{path}: {}", short(&fault)),
        })
        .collect();
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults.join("; ")),
    }
}

fn short(what: &impl fmt::Display) -> String {
    what.to_string().chars().take(FAULT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use caxton_core::tool::{Effect, FunctionName};
    use serde_json::json;

    fn function(input: Value) -> Function {
        Function {
            name: FunctionName::parse("f").unwrap(),
            description: String::new(),
            input,
            output: Some(json!({"type": "object", "required": ["n"]})),
            effect: Effect::Reads,
            repeatable: true,
        }
    }

    #[test]
    fn arguments_are_told_where_they_do_not_fit() {
        let schemas = Schemas::of(&function(json!({
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 7}},
            "required": ["city"],
            "additionalProperties": false,
        })));
        let schemas = schemas.unwrap();
        schemas
            .check_arguments(&json!({"city": "Bonn", "days": 3}))
            .unwrap();
        for (bad, what) in [
            (json!({}), "city"),
            (json!({"city": 1}), "/city"),
            (json!({"city": "Bonn", "days": 9}), "/days"),
            (json!({"city": "Bonn", "else": 9}), "else"),
            (json!([]), "object"),
        ] {
            let error = schemas.check_arguments(&bad).unwrap_err();
            assert_eq!(error.code, Code::ToolArguments);
            assert!(error.detail.contains(what), "{}", error.detail);
        }
        assert!(schemas.check_result(&json!({})).is_err());
        schemas.check_result(&json!({"n": 1})).unwrap();
    }

    #[test]
    fn a_catastrophic_pattern_is_linear_and_a_malformed_schema_is_refused() {
        // Backtracking would try about 2^40 ways.
        let nested = json!({"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}});
        let schemas = Schemas::of(&function(nested)).unwrap();
        let text = format!("{}!", "a".repeat(40));
        assert!(schemas.check_arguments(&json!({"a": text})).is_err());
        for bad in [
            json!({"type": "nothing"}),
            json!({"properties": {"a": {"pattern": "("}}}),
            json!({"properties": {"a": {"pattern": "(a)\\1"}}}),
            json!({"properties": {"a": {"pattern": "(a{1000}){1000}"}}}),
            json!({"$ref": "https://example.com/schema.json"}),
        ] {
            assert!(Schemas::of(&function(bad.clone())).is_err(), "{bad}");
        }
    }
}
