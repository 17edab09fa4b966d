//! From what a tool says to the engine's words. Everything a tool says is a stranger's: bounded,
//! parsed, and refused where it is not what the interface promises.

use crate::bindings::tool::{tool_functions, tool_types};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use caxton_core::error::shown;
use caxton_core::model::{Image, Part};
use caxton_core::tool::{Effect, FUNCTIONS_MAX, Function, FunctionName, SCHEMA_BYTES_MAX};
use caxton_engine::port::tool::{ANSWER_BYTES_MAX, ToolAnswer, ToolFault, ToolFaultKind};
use serde_json::Value;
use std::collections::BTreeSet;

/// Parts of one answer.
const PARTS_MAX: usize = 256;
/// Longest media type, in bytes.
const MEDIA_TYPE_BYTES_MAX: usize = 64;

/// What a tool offers: at least one function, names that differ, schemas that are JSON objects.
pub(super) fn functions(said: Vec<tool_types::Function>) -> Result<Vec<Function>, ToolFault> {
    if !(1..=FUNCTIONS_MAX).contains(&said.len()) {
        return Err(malformed(format!(
            "it offers {} functions; a tool has 1 to {FUNCTIONS_MAX}",
            said.len()
        )));
    }
    let mut names = BTreeSet::new();
    let mut functions = Vec::with_capacity(said.len());
    for function in said {
        let function = read(function)?;
        if !names.insert(function.name.clone()) {
            let name = &function.name;
            return Err(malformed(format!("two functions are called `{name}`")));
        }
        functions.push(function);
    }
    Ok(functions)
}

fn read(said: tool_types::Function) -> Result<Function, ToolFault> {
    let name = FunctionName::parse(&said.name).map_err(|error| malformed(error.detail))?;
    let schema = |text: &str, of: &str| -> Result<Value, ToolFault> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(malformed(format!(
                "the {of} schema of `{name}` has more than {SCHEMA_BYTES_MAX} bytes"
            )));
        }
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Value::Object(fields)),
            Ok(_) => Err(malformed(format!(
                "the {of} schema of `{name}` is not a JSON object"
            ))),
            Err(error) => Err(malformed(format!(
                "the {of} schema of `{name}` is no JSON: {error}"
            ))),
        }
    };
    let function = Function {
        input: schema(&said.input_schema, "input")?,
        output: said
            .output_schema
            .map(|text| schema(&text, "output"))
            .transpose()?,
        description: said.description,
        effect: if said.acts {
            Effect::Acts
        } else {
            Effect::Reads
        },
        repeatable: said.repeatable,
        name,
    };
    function.check().map_err(|error| malformed(error.detail))?;
    Ok(function)
}

/// What a tool answered.
pub(super) fn answer(said: tool_functions::Answer) -> Result<ToolAnswer, ToolFault> {
    if said.content.len() > PARTS_MAX {
        return Err(too_large(format!(
            "its answer has {} parts, at most {PARTS_MAX} are taken",
            said.content.len()
        )));
    }
    let structured = said.structured.as_deref();
    let mut bytes = structured.map_or(0, str::len);
    let mut parts = Vec::with_capacity(said.content.len());
    for content in said.content {
        let part = match content {
            tool_types::Content::Text(text) => Part::Text { text },
            tool_types::Content::Image(image) => read_image(image)?,
        };
        bytes = bytes.saturating_add(part.bytes());
        if bytes > ANSWER_BYTES_MAX {
            return Err(too_large(format!(
                "its answer has more than {ANSWER_BYTES_MAX} bytes"
            )));
        }
        parts.push(part);
    }
    let structured = structured
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| malformed(format!("its structured answer is no JSON: {error}")))?;
    Ok(ToolAnswer {
        parts,
        structured,
        ..ToolAnswer::default()
    })
}

fn read_image(image: tool_types::Image) -> Result<Part, ToolFault> {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let kind = image.media_type.strip_prefix("image/");
    let known = image.media_type.len() <= MEDIA_TYPE_BYTES_MAX
        && kind.is_some_and(|kind| !kind.is_empty() && kind.bytes().all(fit));
    if !known {
        return Err(malformed(format!(
            "`{}` is no image's media type",
            shown(&image.media_type)
        )));
    }
    Ok(Part::Image {
        image: Image::Data {
            media_type: image.media_type,
            data: STANDARD.encode(&image.data),
        },
    })
}

fn malformed(detail: String) -> ToolFault {
    ToolFault::new(ToolFaultKind::Malformed, detail)
}

fn too_large(detail: String) -> ToolFault {
    ToolFault::new(ToolFaultKind::TooLarge, detail)
}
