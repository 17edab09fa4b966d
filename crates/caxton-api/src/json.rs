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
    serde_json::from_slice(text).map_err(|error| misfit(&error.to_string()))
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
fn misfit(text: &str) -> ApiError {
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
    ApiError::new(
        Code::ParameterMalformed,
        format!("the body does not fit: {text}"),
    )
}

/// What the generated reader of numbers, which come as such and as texts, says of one that is neither or
/// does not fit. It does not know the field.
const NO_NUMBER: &str = "data did not match any variant of untagged enum Content";

#[cfg(test)]
mod tests;
