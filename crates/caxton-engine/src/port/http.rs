//! The way out to other servers. Which addresses may be reached, core decides; the one adapter obeys,
//! at each redirect and by the address it connects to.

use super::Answer;
use super::secrets::Secret;
use bytes::Bytes;
use caxton_core::TenantId;
use futures::stream::BoxStream;
use std::fmt;
use std::time::Duration;

/// Sends requests.
pub trait Http: Send + Sync + fmt::Debug {
    /// Sends one and gives the answer's head; the body comes as it comes.
    fn send(&self, request: HttpRequest) -> Answer<'_, Result<HttpAnswer, HttpFault>>;
}

/// Who named the address: what the operator configured may be an inner one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    Operator,
    Tenant(TenantId),
}

/// A header's value; a secret one is never shown.
#[derive(Clone, Debug)]
pub enum HeaderValue {
    Plain(String),
    /// A prefix such as `Bearer `, and the secret after it.
    Secret(&'static str, Secret),
}

/// A request about to leave.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// Absolute: `https://…` or `http://…`.
    pub url: String,
    pub headers: Vec<(String, HeaderValue)>,
    pub body: Bytes,
    pub trust: Trust,
    /// From asking to the connection.
    pub connect_timeout: Duration,
    /// Redirects followed; 0: a redirect is an answer like any other.
    pub redirects_max: u32,
}

/// An answer, its head read.
pub struct HttpAnswer {
    pub status: u16,
    /// Names in lower case; values that are no text are left out.
    pub headers: Vec<(String, String)>,
    /// Unbounded: whoever reads it counts. Dropped, the connection is given up.
    pub body: BoxStream<'static, Result<Bytes, HttpFault>>,
}

impl HttpAnswer {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpAnswer({})", self.status)
    }
}

/// Why there is no answer, or not the rest of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpFault {
    #[error("malformed request: {0}")]
    Malformed(String),
    /// The address may not be reached.
    #[error("refused: {0}")]
    Refused(String),
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("no connection in time")]
    ConnectTimeout,
    /// The connection broke.
    #[error("broken off: {0}")]
    Broken(String),
}
