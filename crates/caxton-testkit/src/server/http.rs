//! Plain HTTP, for requests that the client would not write: bodies that are no JSON, paths with odd
//! names, multipart.
#![allow(clippy::indexing_slicing)]

use super::{KEY, TestServer};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::fmt;

/// Connections to one server.
pub(super) struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({})", self.url)
    }
}

impl Http {
    pub(super) fn new(url: &str) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            url: url.to_owned(),
        }
    }
}

/// A request's body.
#[derive(Clone, Debug)]
pub enum Body {
    None,
    /// Sent as `application/json`, whatever it is.
    Json(Bytes),
    /// Sent as `multipart/form-data`: names and contents.
    Parts(Vec<(&'static str, Bytes)>),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Status and `CX-####` of a refusal, which must be a problem document that says why.
    ///
    /// # Panics
    /// Where it is no complete problem document.
    pub fn problem(&self) -> (u16, String) {
        let problem = self.json();
        let media = self.headers.get(header::CONTENT_TYPE);
        assert_eq!(
            media.map(|media| media.to_str().expect("text")),
            Some("application/problem+json"),
            "{self:?}"
        );
        assert_eq!(problem["status"], self.status.as_u16(), "{self:?}");
        for member in ["type", "title", "detail"] {
            let text = problem[member].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "no {member}: {self:?}");
        }
        let code = problem["code"].as_str().unwrap_or_default();
        assert!(code.starts_with("CX-"), "{self:?}");
        (self.status.as_u16(), code.to_owned())
    }

    /// The same of any door: those for clients made for others have their providers' envelope.
    ///
    /// # Panics
    /// Where it is neither.
    pub fn refusal(&self) -> (u16, String) {
        let media = self.headers.get(header::CONTENT_TYPE);
        if media.is_none_or(|media| media != "application/json") {
            return self.problem();
        }
        let error = &self.json()["error"];
        let text = |member: &str| error[member].as_str().unwrap_or_default().to_owned();
        assert!(
            !text("message").is_empty() && !text("type").is_empty(),
            "{self:?}"
        );
        assert!(text("code").starts_with("CX-"), "{self:?}");
        (self.status.as_u16(), text("code"))
    }
}

impl TestServer {
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, Body::None).await
    }

    /// `POST` with a body that is called JSON.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.request(Method::POST, path, Body::Json(body.into()))
            .await
    }

    /// Sends a request with the admin key. `path` is sent as it is written.
    ///
    /// # Panics
    /// Where no answer comes.
    pub async fn request(&self, method: Method, path: &str, body: Body) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.http.url))
            .header("x-api-key", KEY);
        let request = match body {
            Body::None => request.body(Full::default()),
            Body::Json(bytes) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(bytes.into()),
            Body::Parts(parts) => request
                .header(
                    header::CONTENT_TYPE,
                    format!("multipart/form-data; boundary={BOUNDARY}"),
                )
                .body(multipart(&parts).into()),
        };
        let request = request.expect("a request");
        let sent = self.http.client.request(request).await;
        let (parts, body) = sent.expect("an answer").into_parts();
        let body = body.collect().await.expect("a whole answer");
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        }
    }
}

const BOUNDARY: &str = "caxton-test-5f1c9a";

fn multipart(parts: &[(&'static str, Bytes)]) -> Bytes {
    let mut body = Vec::new();
    for (name, content) in parts {
        let head =
            format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body.into()
}
