//! What every request passes on its way in and out, whichever door it took: the envelope (ids,
//! trace, limits, counting, panics), the key, and the answers to what no operation took.

pub(crate) mod auth;
pub(crate) mod envelope;
pub(crate) mod fallback;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use caxton_api::ApiError;
use caxton_api::context::TRACEPARENT;
use caxton_core::TraceContext;
use http::{HeaderMap, header};

/// Whether a request speaks gRPC, and so wants its errors in trailers.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Answers a request that is not let through, in the words of its door. Its path and trace are read
/// from the request alone, because the rest of its head may be what is wrong with it.
pub(crate) fn refuse(request: &Request, mut error: ApiError) -> Response {
    let traceparent = request.headers().get(TRACEPARENT);
    let trace = traceparent.and_then(|it| TraceContext::parse(it.to_str().ok()?));
    error.trace_id = trace.map(|trace| trace.trace_id_hex());
    error.instance = Some(request.uri().path().to_owned());
    if is_grpc(request.headers()) {
        return tonic::Status::from(error)
            .into_http::<axum::body::Body>()
            .into_response();
    }
    error.into_response()
}
