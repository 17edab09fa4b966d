//! Where an answer sends a request on to, and what of the request goes there.

use ::http::Method;
use ::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap};
use bytes::Bytes;
use caxton_engine::port::http::HttpAnswer;
use url::Url;

/// What is sent at each step.
#[derive(Debug, Clone)]
pub struct Hop {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The address an answer sends on to.
pub fn target(from: &Url, answer: &HttpAnswer) -> Option<String> {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let to = from.join(answer.header("location")?).ok()?;
    Some(to.into())
}

impl Hop {
    /// Makes it what is sent next (RFC 9110, 15.4). Credentials never leave the origin they are for.
    pub fn follow(&mut self, status: u16, same_origin: bool) {
        let becomes_get = status == 303 && self.method != Method::HEAD
            || matches!(status, 301 | 302) && self.method == Method::POST;
        if becomes_get {
            self.method = Method::GET;
            self.body = Bytes::new();
            self.headers.remove(CONTENT_TYPE);
        }
        if !same_origin {
            let secret: Vec<_> = self
                .headers
                .iter()
                .filter(|(name, value)| {
                    value.is_sensitive()
                        || **name == AUTHORIZATION
                        || **name == COOKIE
                        || name.as_str() == "x-api-key"
                })
                .map(|(name, _)| name.clone())
                .collect();
            for name in secret {
                self.headers.remove(name);
            }
        }
    }
}
