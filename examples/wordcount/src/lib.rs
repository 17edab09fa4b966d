//! A tool that counts words: the least that is one, and has a structured answer.

use caxton_agent::tool::{Answer, Function, Tool};
use serde_json::{Value, json};

struct WordCount;

const INPUT: &str = r#"{
  "type": "object",
  "properties": {"text": {"type": "string", "description": "What is counted."}},
  "required": ["text"],
  "additionalProperties": false
}"#;

const OUTPUT: &str = r#"{
  "type": "object",
  "properties": {
    "words": {"type": "integer"},
    "lines": {"type": "integer"},
    "characters": {"type": "integer"}
  },
  "required": ["words", "lines", "characters"]
}"#;

impl Tool for WordCount {
    fn functions() -> Vec<Function> {
        let about = "Counts the words, lines and characters of a text.";
        vec![Function::new("count", about, INPUT).reads().output(OUTPUT)]
    }

    fn call(name: &str, arguments: &str) -> Result<Answer, String> {
        match name {
            "count" => count(arguments),
            other => Err(format!("there is no function `{other}`")),
        }
    }
}

caxton_agent::export_tool!(WordCount);

fn count(arguments: &str) -> Result<Answer, String> {
    let arguments: Value = serde_json::from_str(arguments).map_err(|error| error.to_string())?;
    // The server has checked the arguments against the schema; this is for whoever calls without one.
    let text = arguments
        .get("text")
        .and_then(Value::as_str)
        .ok_or("`text` is missing")?;
    let (words, lines, characters) = (
        text.split_whitespace().count(),
        text.lines().count(),
        text.chars().count(),
    );
    let counted = json!({"words": words, "lines": lines, "characters": characters});
    let told = format!("{words} words, {lines} lines, {characters} characters");
    Ok(Answer::text(told).structured(counted.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn words_are_what_spaces_separate_and_characters_are_no_bytes() {
        let arguments = json!({"text": " zwölf  Boxkämpfer\njagen\n"}).to_string();
        let answer = WordCount::call("count", &arguments).expect("an answer");
        let structured = answer.structured.expect("a structured answer");
        let counted: Value = serde_json::from_str(&structured).expect("JSON");
        assert_eq!(counted, json!({"words": 3, "lines": 2, "characters": 25}));
    }

    #[test]
    fn schemas_are_objects_and_other_calls_are_answered() {
        for function in WordCount::functions() {
            let schemas = [Some(function.input_schema), function.output_schema];
            for schema in schemas.into_iter().flatten() {
                let schema: Value = serde_json::from_str(&schema).expect("JSON");
                assert_eq!(schema["type"], "object");
            }
        }
        assert!(WordCount::call("count", "{}").is_err());
        assert!(WordCount::call("sing", "{}").is_err());
    }
}
