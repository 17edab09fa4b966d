//! What every request passes on its way in and out, whichever door it took: the envelope (ids,
//! trace, limits, counting, panics), the key, and the answers to what no operation took.

pub(crate) mod auth;
pub(crate) mod cors;
pub(crate) mod envelope;
pub(crate) mod failures;
pub(crate) mod fallback;
pub(crate) mod guard;
pub(crate) mod layer;
pub(crate) mod limits;
pub(crate) mod log;
mod patience;
pub(crate) mod tokens;

use std::borrow::Cow;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use caxton_api::ApiError;
use caxton_api::context::{REQUEST_ID, TRACEPARENT};
use caxton_core::TraceContext;
use caxton_core::key::without_secrets;
use http::{HeaderMap, HeaderValue, Uri, header};

use crate::compat::error::Family;

/// Whether a request speaks gRPC, and so wants its errors in trailers.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Whether text is an origin that may be configured.
///
/// # Errors
/// What is wrong with it.
pub fn cors_origin(origin: &str) -> Result<(), String> {
    cors::check(origin)
}

/// What an answer needs of a request that may be gone by then. Cheap to make: every request has one.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    is_grpc: bool,
    uri: Uri,
    traceparent: Option<HeaderValue>,
    /// Of a request whose client is told it in the answer's body.
    request_id: Option<String>,
}

impl Shell {
    pub(crate) fn of(request: &Request) -> Self {
        Self {
            is_grpc: is_grpc(request.headers()),
            uri: request.uri().clone(),
            traceparent: request.headers().get(&TRACEPARENT).cloned(),
            request_id: request_id(request),
        }
    }

    /// The path that was asked for, without a key's secret.
    pub(crate) fn path(&self) -> Cow<'_, str> {
        without_secrets(self.uri.path())
    }

    /// Answers the request that is not let through, in the words of its door. Its path and trace are
    /// read from the request alone, because the rest of its head may be what is wrong with it.
    pub(crate) fn refuse(&self, mut error: ApiError) -> Response {
        let traceparent = self.traceparent.as_ref();
        let trace = traceparent.and_then(|it| TraceContext::parse(it.to_str().ok()?));
        error.trace_id = trace.map(|trace| trace.trace_id_hex().into());
        error.instance = Some(self.path().into());
        if self.is_grpc {
            return tonic::Status::from(error)
                .into_http::<axum::body::Body>()
                .into_response();
        }
        match Family::of(self.uri.path()) {
            Some(family) => family.refuse(&error, self.request_id.as_deref()),
            None => error.into_response(),
        }
    }
}

fn request_id(request: &Request) -> Option<String> {
    Family::of(request.uri().path())?;
    let id = request.headers().get(&REQUEST_ID)?.to_str().ok()?;
    Some(id.to_owned())
}

/// As [`Shell::refuse`], for a request that is still there.
pub(crate) fn refuse(request: &Request, error: ApiError) -> Response {
    Shell::of(request).refuse(error)
}
