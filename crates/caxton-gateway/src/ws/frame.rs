//! The frames: what a client may say, and what it hears.

use caxton_api::{ApiError, json};
use caxton_core::Code;
use caxton_core::error::shown;
use serde::Serialize;
use serde_json::{Map, Value};

/// Longest id of a subscription, in bytes.
const ID_BYTES_MAX: usize = 64;

/// What a client asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    Subscribe {
        stream: String,
        last_event_id: Option<String>,
        /// The stream's own parameters, as the request of the contract in JSON.
        request: Value,
    },
    Unsubscribe,
}

/// Reads a frame: the subscription's id, as far as it can be told, and what is asked.
pub(super) fn read(text: &str) -> (Option<String>, Result<Asked, ApiError>) {
    let object: Result<Map<String, Value>, ApiError> = json::read(text.as_bytes());
    let mut object = match object {
        Ok(object) => object,
        Err(error) => return (None, Err(error)),
    };
    let id = match take(&mut object, "id") {
        Ok(Some(id)) if fit(&id) => id,
        Ok(_) => {
            let what = format!("must be 1 to {ID_BYTES_MAX} printable characters");
            return (None, Err(malformed("id", &what)));
        }
        Err(error) => return (None, Err(error)),
    };
    let asked = asked(object);
    (Some(id), asked)
}

fn asked(mut object: Map<String, Value>) -> Result<Asked, ApiError> {
    match take(&mut object, "op")?.as_deref() {
        Some("subscribe") => {
            let stream = take(&mut object, "stream")?;
            let stream = stream.ok_or_else(|| malformed("stream", "is missing"))?;
            Ok(Asked::Subscribe {
                stream,
                last_event_id: take(&mut object, "lastEventId")?,
                request: Value::Object(object),
            })
        }
        Some("unsubscribe") => match object.keys().next() {
            None => Ok(Asked::Unsubscribe),
            Some(name) => Err(unknown(name)),
        },
        Some(other) => {
            let what = format!("is neither subscribe nor unsubscribe: `{}`", shown(other));
            Err(malformed("op", &what))
        }
        None => Err(malformed("op", "is missing")),
    }
}

fn take(object: &mut Map<String, Value>, name: &str) -> Result<Option<String>, ApiError> {
    match object.shift_remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(malformed(name, "must be a string")),
    }
}

fn fit(id: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_graphic())
}

fn unknown(name: &str) -> ApiError {
    let name = shown(name);
    let detail = format!("unknown field `{name}`");
    ApiError::new(Code::FieldUnknown, detail).with_field(name, "unknown field")
}

pub(super) fn malformed(name: &str, what: &str) -> ApiError {
    let detail = format!("`{name}` {what}");
    ApiError::new(Code::ParameterMalformed, detail).with_field(name, what)
}

/// What a client hears of one subscription, or of a frame that named none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a, T: Serialize> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<caxton_api::error::Problem>,
}

/// An event of a stream.
pub(super) fn event<T: Serialize>(
    id: &str,
    event: &str,
    event_id: Option<&str>,
    data: T,
) -> Result<String, ApiError> {
    let told = Told {
        id: Some(id),
        event: Some(event),
        event_id,
        data: Some(data),
        error: None,
    };
    serde_json::to_string(&told)
        .map_err(|error| ApiError::new(Code::Internal, format!("the event is no JSON: {error}")))
}

/// A word about a subscription: `subscribed`, `unsubscribed`, `ended`.
pub(super) fn word(id: &str, event: &str) -> String {
    let told: Told<'_, ()> = Told {
        id: Some(id),
        event: Some(event),
        event_id: None,
        data: None,
        error: None,
    };
    serde_json::to_string(&told).unwrap_or_default()
}

/// What went wrong; with an id, that subscription is over.
pub(super) fn error(id: Option<&str>, error: &ApiError) -> String {
    let told: Told<'_, ()> = Told {
        id,
        event: None,
        event_id: None,
        data: None,
        error: Some(error.problem()),
    };
    serde_json::to_string(&told).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn frames_say_what_is_asked_or_are_told_what_is_wrong() {
        let (id, asked) = read(
            r#"{"op":"subscribe","id":"a","stream":"messages","lastEventId":"7","agent":"b"}"#,
        );
        let expected = Asked::Subscribe {
            stream: "messages".to_owned(),
            last_event_id: Some("7".to_owned()),
            request: serde_json::json!({"agent": "b"}),
        };
        assert_eq!((id.as_deref(), asked.unwrap()), (Some("a"), expected));
        let check = |text: &str, id: Option<&str>, code: Code, part: &str| {
            let (got, asked) = read(text);
            let error = asked.unwrap_err();
            assert_eq!((got.as_deref(), error.code), (id, code), "{text}");
            assert!(error.detail.contains(part), "{text}: {error}");
        };
        use Code::{FieldUnknown, JsonMalformed, ParameterMalformed};
        check("", None, JsonMalformed, "");
        check("{", None, JsonMalformed, "");
        check(&"[".repeat(5000), None, JsonMalformed, "");
        check(r#"{"id":"a","id":"b"}"#, None, JsonMalformed, "id");
        check("[]", None, JsonMalformed, "");
        check(r#"{"op":"subscribe"}"#, None, ParameterMalformed, "`id`");
        check(r#"{"id":7}"#, None, ParameterMalformed, "`id`");
        check(r#"{"id":"a b"}"#, None, ParameterMalformed, "`id`");
        check(r#"{"id":"a"}"#, Some("a"), ParameterMalformed, "`op`");
        check(
            r#"{"id":"a","op":"publish"}"#,
            Some("a"),
            ParameterMalformed,
            "publish",
        );
        check(
            r#"{"id":"a","op":"subscribe"}"#,
            Some("a"),
            ParameterMalformed,
            "`stream`",
        );
        check(
            r#"{"id":"a","op":"unsubscribe","x":1}"#,
            Some("a"),
            FieldUnknown,
            "`x`",
        );
    }

    proptest::proptest! {
        #[test]
        fn noise_is_told_what_is_wrong(noise in ".{0,300}", op in ".{0,20}", id in ".{0,80}") {
            assert!(read(&noise).1.is_err());
            let frame = serde_json::json!({"op": op, "id": id}).to_string();
            let (told, asked) = read(&frame);
            assert!(asked.is_err() || op == "unsubscribe");
            assert!(told.is_none_or(|it| it == id && fit(&id)));
        }
    }
}
