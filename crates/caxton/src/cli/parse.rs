//! Small readers of command-line values.

use caxton_api::v1::AgentId;
use caxton_api::wkt::Timestamp;

/// A duration such as `5s`, kept as it was written once it is known to read.
pub fn duration(text: &str) -> Result<String, String> {
    caxton_api::duration::parse(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

/// An RFC 3339 time.
pub fn time(text: &str) -> Result<Timestamp, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| "write an absolute time such as 2026-11-22T05:09:22Z".to_owned())
}

/// `NAME=VALUE`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// An agent by name.
pub fn agent(name: &str) -> AgentId {
    AgentId {
        name: name.to_owned(),
        ..AgentId::default()
    }
}
