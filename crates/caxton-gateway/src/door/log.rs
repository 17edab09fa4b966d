//! The log of requests: each one that somebody known made, with what came of it. It has no body, no
//! query and no credential in it, so that it has no secret in it.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use caxton_api::context::{REQUEST_ID, TRACEPARENT};
use caxton_core::TraceContext;
use caxton_engine::requests::RequestEntry;
use http::HeaderMap;

use super::auth::Caller;
use super::limits::operation;
use crate::api::Api;

/// Longest path that is kept, in bytes.
const PATH_BYTES_MAX: usize = 256;

/// Notes a request when it is answered.
pub(crate) async fn note(State(api): State<Api>, request: Request, next: Next) -> Response {
    let Some(caller) = request.extensions().get::<Caller>().cloned() else {
        return next.run(request).await;
    };
    let headers = request.headers();
    let text = |name: &str| {
        let value = headers.get(name).and_then(|it| it.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let trace = TraceContext::parse(&text(TRACEPARENT));
    let time = api.clock().now();
    let mut entry = RequestEntry {
        time,
        id: text(REQUEST_ID),
        trace_id: trace.map(|it| it.trace_id_hex()).unwrap_or_default(),
        actor: caller.principal().to_string(),
        operation: operation(&request).to_owned(),
        path: caxton_core::error::shown(request.uri().path()),
        status: 0,
        duration_us: 0,
    };
    entry.path.truncate(PATH_BYTES_MAX);
    let response = next.run(request).await;
    entry.status = status(&response);
    let took = api.clock().now().since(time);
    entry.duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    api.app().request_add(&caller.tenant, entry);
    response
}

/// The status; a gRPC answer that is an error says so in its headers and is 200 otherwise.
fn status(response: &Response) -> u16 {
    match grpc_status(response.headers()) {
        Some(code) => http_of(code),
        None => response.status().as_u16(),
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The HTTP status that a gRPC code corresponds to (google.rpc.Code).
fn http_of(code: i32) -> u16 {
    match tonic::Code::from_i32(code) {
        tonic::Code::Ok => 200,
        tonic::Code::InvalidArgument
        | tonic::Code::FailedPrecondition
        | tonic::Code::OutOfRange => 400,
        tonic::Code::Unauthenticated => 401,
        tonic::Code::PermissionDenied => 403,
        tonic::Code::NotFound => 404,
        tonic::Code::AlreadyExists | tonic::Code::Aborted => 409,
        tonic::Code::ResourceExhausted => 429,
        tonic::Code::Cancelled => 499,
        tonic::Code::Unimplemented => 501,
        tonic::Code::Unavailable => 503,
        tonic::Code::DeadlineExceeded => 504,
        tonic::Code::Unknown | tonic::Code::Internal | tonic::Code::DataLoss => 500,
    }
}
