//! The request that a call becomes.

use crate::outward::{Ask, USER_AGENT};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use caxton_core::error::shown;
use caxton_core::tool::{Auth, Effect, HttpFunction, HttpTool, Place};
use caxton_engine::port::http::HeaderValue;
use caxton_engine::port::secrets::Secret;
use caxton_engine::port::tool::{ToolCall, ToolFault, ToolFaultKind};
use serde_json::{Map, Value};
use std::fmt::Write as _;
use url::Url;

/// Builds it. Faults: arguments that fit the schema and no address, header or body.
pub fn build(tool: &HttpTool, function: &HttpFunction, call: &ToolCall) -> Result<Ask, ToolFault> {
    let none = Map::new();
    let given = call.arguments.as_object().unwrap_or(&none);
    let mut url = address(tool, function, given)?;
    let mut parts = Parts::new(function, call);
    for (name, value) in given {
        let in_path = function.path_arguments().flatten().any(|it| it == name);
        if !in_path && !value.is_null() {
            parts.put(function, name, value)?;
        }
    }
    if !parts.query.is_empty() {
        let mut pairs = url.query_pairs_mut();
        pairs.extend_pairs(&parts.query);
    }
    parts.sign(&tool.auth, call.target.secret.as_ref(), &mut url)?;
    Ok(Ask {
        method: method(&function.method)?,
        url,
        body: parts.body()?,
        headers: parts.headers,
        redirects_max: super::REDIRECTS_MAX,
    })
}

fn arguments(text: impl Into<String>) -> ToolFault {
    ToolFault::new(ToolFaultKind::Arguments, text)
}

fn method(text: &str) -> Result<&'static str, ToolFault> {
    let all = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    let found = all.into_iter().find(|it| *it == text);
    found.ok_or_else(|| ToolFault::new(ToolFaultKind::Internal, "the method is not known"))
}

/// The base, and the path with its arguments after it. An argument is one segment or a piece of one:
/// what it says can make it no more, and none can step up.
fn address(
    tool: &HttpTool,
    function: &HttpFunction,
    given: &Map<String, Value>,
) -> Result<Url, ToolFault> {
    let malformed = |_| {
        ToolFault::new(
            ToolFaultKind::Malformed,
            "the tool's base address is no URL",
        )
    };
    let mut url = Url::parse(&tool.base_url).map_err(malformed)?;
    let (path, query) = match function.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (function.path.as_str(), None),
    };
    if !path.is_empty() {
        let base = url.path().trim_end_matches('/').to_owned();
        let mut full = base;
        for segment in path.split('/').skip(1) {
            let filled = fill(segment, given)?;
            let is_dots = filled.to_ascii_lowercase().replace("%2e", ".");
            if segment.contains('{') && matches!(is_dots.as_str(), "." | "..") {
                return Err(arguments("an argument of the path is `.` or `..`"));
            }
            full.push('/');
            full.push_str(&filled);
        }
        url.set_path(&full);
    }
    if let Some(query) = query {
        let query = fill(query, given)?;
        let before = url.query().map(|it| format!("{it}&"));
        url.set_query(Some(&format!("{}{query}", before.unwrap_or_default())));
    }
    Ok(url)
}

/// A template with its arguments in it.
fn fill(template: &str, given: &Map<String, Value>) -> Result<String, ToolFault> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        let value = given.get(name).map(plain).transpose()?.unwrap_or_default();
        if value.is_empty() {
            let text = format!(
                "`{}` is missing or empty, and the path needs it",
                shown(name)
            );
            return Err(arguments(text));
        }
        encode(&value, &mut filled);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// All but what is unreserved (RFC 3986, 2.3).
fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

/// A value as text: lists by commas.
fn plain(value: &Value) -> Result<String, ToolFault> {
    Ok(match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(plain).collect();
            items?.join(",")
        }
        Value::Object(_) => return Err(arguments("an object has no place in a path or a header")),
    })
}

/// What of a request is not its address.
#[derive(Debug, Default)]
struct Parts {
    headers: Vec<(String, HeaderValue)>,
    query: Vec<(String, String)>,
    fields: Map<String, Value>,
    whole: Option<Value>,
    /// The method has a body.
    has_body: bool,
}

impl Parts {
    fn new(function: &HttpFunction, call: &ToolCall) -> Self {
        let mut parts = Self {
            has_body: matches!(function.method.as_str(), "POST" | "PUT" | "PATCH"),
            ..Self::default()
        };
        parts.header("user-agent", USER_AGENT);
        parts.header("accept", "application/json, text/*;q=0.9, */*;q=0.5");
        // Answers are not decompressed.
        parts.header("accept-encoding", "identity");
        parts.header("traceparent", &call.trace.to_traceparent());
        for (name, value) in &function.headers {
            parts.header(name, value);
        }
        if function.function.effect == Effect::Acts || parts.has_body {
            parts.header("idempotency-key", &call.key);
        }
        parts
    }

    /// Sets one; what it was before is gone.
    fn header(&mut self, name: &str, value: &str) {
        self.insert(name, HeaderValue::Plain(value.to_owned()));
    }

    fn insert(&mut self, name: &str, value: HeaderValue) {
        let name = name.to_ascii_lowercase();
        self.headers.retain(|(it, _)| *it != name);
        self.headers.push((name, value));
    }

    fn put(&mut self, function: &HttpFunction, name: &str, value: &Value) -> Result<(), ToolFault> {
        let named = function.places.iter().find(|(it, _)| it == name);
        let place = match named {
            Some((_, place)) => place,
            None if self.has_body => &Place::Body,
            None => &Place::Query,
        };
        match place {
            Place::Query => self.put_query(name, value),
            Place::Header => {
                let value = plain(value)?;
                if !value.chars().all(|it| it == '\t' || !it.is_control()) {
                    let text = format!("`{}` has what no header may have", shown(name));
                    return Err(arguments(text));
                }
                self.header(name, &value);
            }
            Place::Body => {
                self.fields.insert(name.to_owned(), value.clone());
            }
            Place::Whole => self.whole = Some(value.clone()),
        }
        Ok(())
    }

    /// A list is the parameter many times.
    fn put_query(&mut self, name: &str, value: &Value) {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match value {
            Value::Array(items) => {
                let pairs = items.iter().map(|it| (name.to_owned(), text(it)));
                self.query.extend(pairs);
            }
            one => self.query.push((name.to_owned(), text(one))),
        }
    }

    /// Shows the secret, in place of whatever an argument put there.
    fn sign(
        &mut self,
        auth: &Auth,
        secret: Option<&Secret>,
        url: &mut Url,
    ) -> Result<(), ToolFault> {
        let Some(secret) = secret else {
            return match auth {
                Auth::None => Ok(()),
                _ => Err(ToolFault::new(
                    ToolFaultKind::Unavailable,
                    "the tool has no secret, and its `auth` shows one: register it again with a secret",
                )),
            };
        };
        match auth {
            Auth::None => {}
            Auth::Bearer => self.insert(
                "authorization",
                HeaderValue::Secret("Bearer ", secret.clone()),
            ),
            Auth::Basic => {
                let encoded = Secret::new(&BASE64_STANDARD.encode(secret.reveal()));
                self.insert("authorization", HeaderValue::Secret("Basic ", encoded));
            }
            Auth::Header(name) => self.insert(name, HeaderValue::Secret("", secret.clone())),
            Auth::Query(name) => {
                let kept: Vec<(String, String)> = url
                    .query_pairs()
                    .filter(|(it, _)| it != name)
                    .map(|(name, value)| (name.into_owned(), value.into_owned()))
                    .collect();
                let mut pairs = url.query_pairs_mut();
                pairs.clear().extend_pairs(kept);
                pairs.append_pair(name, secret.reveal());
            }
        }
        Ok(())
    }

    fn body(&mut self) -> Result<Bytes, ToolFault> {
        let value = match self.whole.take() {
            Some(_) if !self.fields.is_empty() => {
                return Err(arguments("the body is one argument and others beside it"));
            }
            Some(whole) => whole,
            None if self.fields.is_empty() && !self.has_body => return Ok(Bytes::new()),
            None => Value::Object(std::mem::take(&mut self.fields)),
        };
        self.header("content-type", "application/json");
        Ok(value.to_string().into())
    }
}
