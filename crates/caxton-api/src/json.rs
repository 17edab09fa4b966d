//! Reading JSON from strangers: a strict look at the text first, then the message.
//!
//! RFC 8259 leaves open what a repeated key or half a surrogate pair means, and readers differ, so
//! that two of them can see two different requests in one text. Such texts are refused, with the
//! place. So is nesting no request needs, before any reader recurses into it.

mod scan;

use caxton_core::Code;
use caxton_core::error::shown;
use caxton_core::manifest::nearest;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::ApiError;

pub use scan::{DEPTH_MAX, Fault, FaultKind, check};

/// Reads a message strictly.
///
/// # Errors
/// `JsonMalformed` with the place, or where the text is no object; `FieldUnknown` names the field and the nearest known one;
/// `ParameterMalformed` for a value of the wrong type.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    check(text)
        .map_err(|fault| ApiError::new(Code::JsonMalformed, format!("the body has {fault}")))?;
    // Every message is an object; what else there may be fits no message, and no field of it is wrong.
    if let Some(kind) = no_object(text) {
        let detail = format!("the body is {kind}, not an object");
        return Err(ApiError::new(Code::JsonMalformed, detail));
    }
    serde_json::from_slice(text).or_else(|error| again(text, &error.to_string()))
}

/// Reads a text once more that does not fit, to see where it does not. proto3's JSON takes a field that is
/// null for one that is absent, the generated readers only some: such a field is left out.
fn again<T: DeserializeOwned>(text: &[u8], fault: &str) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let Err(first) = serde_path_to_error::deserialize::<_, T>(&mut reader) else {
        return Err(misfit(fault, ""));
    };
    let misfits = |path: &Path| misfit(fault, &place(path));
    if !is_null(&first) {
        return Err(misfits(first.path()));
    }
    let mut value: Value = serde_json::from_slice(text).map_err(|_| misfits(first.path()))?;
    let mut found = first;
    for _ in 0..NULLS_MAX {
        if !is_null(&found) || !leave_out(&mut value, found.path()) {
            break;
        }
        match serde_path_to_error::deserialize(&value) {
            Ok(read) => return Ok(read),
            Err(next) => found = next,
        }
    }
    Err(misfit(&found.inner().to_string(), &place(found.path())))
}

/// Fields of a request that may be null where the reader does not take that.
/// Each costs another reading.
const NULLS_MAX: usize = 32;

fn is_null(error: &serde_path_to_error::Error<serde_json::Error>) -> bool {
    error.inner().to_string().starts_with("invalid type: null")
}

/// Takes out what stands at a path, if that is a field that is null.
fn leave_out(value: &mut Value, path: &Path) -> bool {
    let segments: Vec<&Segment> = path.iter().collect();
    let Some((Segment::Map { key }, parents)) = segments.split_last() else {
        return false;
    };
    let at = parents.iter().try_fold(value, |at, segment| match segment {
        Segment::Map { key } => at.get_mut(key),
        Segment::Seq { index } => at.get_mut(index),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    let Some(object) = at.and_then(Value::as_object_mut) else {
        return false;
    };
    object.get(key).is_some_and(Value::is_null) && object.remove(key).is_some()
}

/// `receiver[0].name`; empty where that is nowhere.
fn place(path: &Path) -> String {
    let known = path.iter().all(|it| !matches!(it, Segment::Unknown));
    match known && path.iter().next().is_some() {
        true => shown(&path.to_string()),
        false => String::new(),
    }
}

/// What a text that was checked is, where it is no object.
fn no_object(text: &[u8]) -> Option<&'static str> {
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace())?;
    match first {
        b'{' => None,
        b'[' => Some("a list"),
        b'"' => Some("a string"),
        b't' | b'f' => Some("a boolean"),
        b'n' => Some("null"),
        _ => Some("a number"),
    }
}

/// An error for a name that is not known, with the nearest that is.
pub(crate) fn unknown(what: &str, name: &str, known: &[&str]) -> ApiError {
    let name = shown(name);
    let detail = match nearest(&name, known.iter().copied()) {
        Some(near) => format!("unknown {what} `{name}`; did you mean `{near}`?"),
        None if known.is_empty() => format!("unknown {what} `{name}`; none is known here"),
        None => format!("unknown {what} `{name}`; known are {}", known.join(", ")),
    };
    ApiError::new(Code::FieldUnknown, detail).with_field(name, format!("unknown {what}"))
}

/// Turns serde's text into an error that names the field. serde has no structured errors; the two
/// texts read here are fixed in `serde::de::Error`, and a test holds them.
fn misfit(text: &str, place: &str) -> ApiError {
    if let Some(rest) = text.strip_prefix("unknown field `") {
        let (name, rest) = rest.split_once('`').unwrap_or((rest, ""));
        // Each field is listed by its proto name too; JSON has the other.
        let known: Vec<&str> = rest
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|it| !it.contains('_'))
            .collect();
        return unknown("field", name, &known);
    }
    if let Some(rest) = text.strip_prefix("duplicate field `") {
        let name = shown(rest.split('`').next().unwrap_or_default());
        // No key stands twice in a text that passed `check`: these are two names of one thing.
        let detail = format!("`{name}` and another field of the body exclude each other");
        return ApiError::new(Code::ParameterMalformed, detail)
            .with_field(name, "excluded by another field");
    }
    let text = text.replace(NO_NUMBER, "a number is wanted that its field can hold");
    // The name of a type of ours says nothing to whoever wrote the text.
    let text = match text.split_once("expected struct ") {
        None => text,
        Some((before, after)) => {
            let rest = after.split_once(' ').map_or("", |(_, rest)| rest);
            format!("{before}expected an object {rest}")
        }
    };
    if place.is_empty() {
        let detail = format!("the body does not fit: {text}");
        return ApiError::new(Code::ParameterMalformed, detail);
    }
    let detail = format!("`{place}` does not fit: {text}");
    ApiError::new(Code::ParameterMalformed, detail).with_field(place, text)
}

/// What the generated reader of numbers, which come as such and as texts, says of one that is neither or
/// does not fit. It does not know the field.
const NO_NUMBER: &str = "data did not match any variant of untagged enum Content";

#[cfg(test)]
mod tests;
