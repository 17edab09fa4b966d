//! A call on its way out: path, query and body, written so that the router reads the same back.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::ClientError;

/// Everything but RFC 3986's unreserved characters is escaped in a segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A part of a path.
pub(super) enum Segment<'a> {
    /// From the template.
    Literal(&'static str),
    /// From a field of the request, with the field's name.
    Field(&'static str, &'a str),
    /// The same, of which each `/` begins a segment.
    Rest(&'static str, &'a str),
}

/// A call on its way out.
pub(super) struct Outgoing {
    method: Method,
    path: String,
    /// Not the serializer itself: it is not `Sync`, and calls must be `Send`.
    query: String,
    body: Option<Bytes>,
    waits: Duration,
}

/// A field type that can be written into a query; a default is left out.
pub(super) trait ToQuery {
    fn write(&self, value: &mut dyn FnMut(&str));
}

impl ToQuery for String {
    fn write(&self, value: &mut dyn FnMut(&str)) {
        if !self.is_empty() {
            value(self);
        }
    }
}

impl ToQuery for u32 {
    fn write(&self, value: &mut dyn FnMut(&str)) {
        if *self != 0 {
            value(&self.to_string());
        }
    }
}

impl ToQuery for bool {
    fn write(&self, value: &mut dyn FnMut(&str)) {
        if *self {
            value("true");
        }
    }
}

impl Outgoing {
    /// # Errors
    /// [`ClientError::Invalid`] for an empty field, and for `.` and `..`, which would make another
    /// path of it.
    pub(super) fn new(method: Method, segments: &[Segment<'_>]) -> Result<Self, ClientError> {
        let mut path = String::new();
        for segment in segments {
            match segment {
                Segment::Literal(text) => {
                    path.push('/');
                    path.push_str(text);
                }
                Segment::Field(name, text) => escape(name, text, &mut path)?,
                Segment::Rest(name, text) => {
                    for piece in text.split('/') {
                        escape(name, piece, &mut path)?;
                    }
                }
            }
        }
        Ok(Self {
            method,
            path,
            query: String::new(),
            body: None,
            waits: Duration::ZERO,
        })
    }

    pub(super) fn query(&mut self, name: &str, field: &impl ToQuery) {
        let mut query = form_urlencoded::Serializer::new(std::mem::take(&mut self.query));
        field.write(&mut |value| {
            if name == "wait" {
                // A malformed one is the server's to refuse.
                self.waits = crate::duration::parse(value).unwrap_or_default();
            }
            query.append_pair(name, value);
        });
        self.query = query.finish();
    }

    /// Writes the body, without the fields that stand in the path.
    pub(super) fn body(
        &mut self,
        message: &impl Serialize,
        without: &[&str],
    ) -> Result<(), ClientError> {
        let invalid = |error: serde_json::Error| ClientError::Invalid(error.to_string());
        let written = if without.is_empty() {
            serde_json::to_vec(message)
        } else {
            serde_json::to_value(message).and_then(|mut value| {
                if let Some(fields) = value.as_object_mut() {
                    fields.retain(|name, _| !without.contains(&name.as_str()));
                }
                serde_json::to_vec(&value)
            })
        };
        self.body = Some(written.map_err(invalid)?.into());
        Ok(())
    }

    /// How long the request asks the server to wait.
    pub(super) fn waits(&self) -> Duration {
        self.waits
    }

    pub(super) fn finish(self) -> (Method, String, Option<Bytes>) {
        let path = if self.query.is_empty() {
            self.path
        } else {
            format!("{}?{}", self.path, self.query)
        };
        (self.method, path, self.body)
    }
}

fn escape(name: &str, text: &str, path: &mut String) -> Result<(), ClientError> {
    if matches!(text, "" | "." | "..") {
        let what = format!("the {name} has no usable name");
        return Err(ClientError::Invalid(what));
    }
    path.push('/');
    path.extend(utf8_percent_encode(text, SEGMENT));
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_stay_one_segment() {
        let path = |name: &str| {
            let segments = [Segment::Literal("v1"), Segment::Field("agent", name)];
            Outgoing::new(Method::GET, &segments).map(|call| call.finish().1)
        };
        assert_eq!(
            path("a/../b?c#d e%").unwrap(),
            "/v1/a%2F..%2Fb%3Fc%23d%20e%25"
        );
        assert_eq!(path("é\0").unwrap(), "/v1/%C3%A9%00");
        for name in ["", ".", ".."] {
            assert!(matches!(path(name), Err(ClientError::Invalid(_))), "{name}");
        }
    }

    #[test]
    fn a_path_of_a_file_stays_under_its_place() {
        let path = |file: &str| {
            let segments = [Segment::Literal("files"), Segment::Rest("path", file)];
            Outgoing::new(Method::GET, &segments).map(|call| call.finish().1)
        };
        assert_eq!(path("a/b c.txt").unwrap(), "/files/a/b%20c.txt");
        for file in ["", "/a", "a/", "a//b", "../a", "a/../../b", "a/."] {
            assert!(matches!(path(file), Err(ClientError::Invalid(_))), "{file}");
        }
    }

    #[test]
    fn a_wait_adds_to_the_time_an_answer_may_take() {
        let mut call = Outgoing::new(Method::POST, &[Segment::Literal("v1")]).unwrap();
        call.query("wait", &"1m5s".to_owned());
        call.query("pageSize", &0);
        call.query("pageToken", &"a&b".to_owned());
        assert_eq!(call.waits(), Duration::from_secs(65));
        assert_eq!(call.finish().1, "/v1?wait=1m5s&pageToken=a%26b");
    }

    #[test]
    fn a_call_may_move_between_threads() {
        fn is_send(_: &impl Send) {}
        let client = crate::client::Client::new("127.0.0.1:1", None, None).unwrap();
        is_send(&client.send_message(&crate::v1::SendMessageRequest::default()));
        is_send(&client.watch_messages(&crate::v1::WatchMessagesRequest::default()));
    }
}
