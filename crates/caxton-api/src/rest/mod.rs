//! What the generated REST doors have in common: reading a call from an HTTP request, and answering
//! it with JSON, a problem or a stream of events.

mod call;
mod query;
pub mod sse;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use caxton_core::Code;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

pub(crate) use call::{Input, Path, finish, open};
pub use query::FromQuery;

use crate::{ApiError, CallContext};

/// The limits of a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Largest body of an ordinary request, in bytes. Default 8 MiB: a message of the default
    /// `message_bytes_max` (1 MiB) whose every byte JSON writes as `\u00XX`, and some envelope.
    pub body_bytes_max: usize,
    /// Largest body of a request that uploads a component, in bytes. Default 128 MiB.
    pub upload_bytes_max: usize,
    /// A stream without events sends a comment this often. Default 15 s, below the 30 s after which
    /// common proxies give up.
    pub heartbeat: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            body_bytes_max: 8 << 20,
            upload_bytes_max: 128 << 20,
            heartbeat: Duration::from_secs(15),
        }
    }
}

/// The state of a generated router: the implementation and the door's limits.
pub(crate) struct Door<A: ?Sized> {
    pub(crate) api: Arc<A>,
    pub(crate) options: Options,
}

impl<A: ?Sized> Clone for Door<A> {
    fn clone(&self) -> Self {
        Self {
            api: Arc::clone(&self.api),
            options: self.options,
        }
    }
}

/// Answers with a message as JSON.
pub(crate) fn answer<T: Serialize>(status: u16, message: &T) -> Result<Response, ApiError> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let body = serde_json::to_vec(message).map_err(|error| {
        ApiError::new(Code::Internal, format!("the answer is no JSON: {error}"))
    })?;
    let json = HeaderValue::from_static("application/json");
    Ok((status, [(header::CONTENT_TYPE, json)], body).into_response())
}

/// What a file may do in the browser that opens it: look. It runs nothing, loads nothing, and is of no
/// origin, so that a page which an agent wrote cannot act for whoever looks at it.
const INERT: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline' data:; img-src data:; \
                     font-src data:; media-src data:; base-uri 'none'; form-action 'none'";

/// Answers with bytes as they are.
pub(crate) fn raw(content: bytes::Bytes, media_type: &str) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, INERT),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "private, no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    let mut answer = (headers, content).into_response();
    let kind = HeaderValue::from_str(media_type)
        .ok()
        .filter(|it| !it.is_empty());
    let unknown = || HeaderValue::from_static("application/octet-stream");
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, kind.unwrap_or_else(unknown));
    answer
}

/// Answers with success and nothing to say.
pub(crate) fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// The fallback of the whole server: a path the API does not have.
pub async fn route_unknown(request: Request) -> Response {
    let detail = format!(
        "nothing is at {}",
        caxton_core::error::shown(request.uri().path())
    );
    refused(request, ApiError::new(Code::RouteUnknown, detail))
}

/// The fallback of every route: a method the path does not have. axum adds `Allow`.
pub async fn method_unknown(request: Request) -> Response {
    let path = caxton_core::error::shown(request.uri().path());
    let detail = format!("{path} does not take {}", request.method());
    let error = ApiError::new(Code::MethodUnknown, detail);
    refused(request, error.with_status(StatusCode::METHOD_NOT_ALLOWED))
}

/// Answers an error to a request no operation took.
pub fn refused(request: Request, error: ApiError) -> Response {
    let (parts, _) = request.into_parts();
    match CallContext::read("", Some(&parts.uri), &parts.headers, parts.extensions) {
        Ok(context) => context.complete(error).into_response(),
        Err(_) => error.into_response(),
    }
}
