//! The log of requests: each one that somebody known made, with what came of it. It has no body, no
//! query and no credential in it, so that it has no secret in it.

use axum::extract::Request;
use axum::response::Response;
use caxton_api::context::{GRPC_STATUS, REQUEST_ID, TRACEPARENT};
use caxton_core::error::shown_up_to;
use caxton_core::grant::Principal;
use caxton_core::{TenantId, Timestamp};
use caxton_engine::requests::RequestNote;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::auth::Caller;
use crate::api::Api;

/// Longest path that is kept whole, in characters.
const PATH_CHARS_MAX: usize = 256;

/// A request that was begun, to be noted when it is answered. Its parts are shared with the request, not
/// copied.
#[derive(Debug)]
pub(crate) struct Noted {
    time: Timestamp,
    id: HeaderValue,
    traceparent: HeaderValue,
    actor: Principal,
    operation: &'static str,
    uri: Uri,
}

impl Noted {
    pub(crate) fn begin(
        api: &Api,
        caller: &Caller,
        operation: &'static str,
        request: &Request,
    ) -> Self {
        let headers = request.headers();
        let given = |name: &HeaderName| {
            let none = || HeaderValue::from_static("");
            headers.get(name).cloned().unwrap_or_else(none)
        };
        Self {
            time: api.clock().now(),
            id: given(&REQUEST_ID),
            traceparent: given(&TRACEPARENT),
            actor: caller.principal().clone(),
            operation,
            uri: request.uri().clone(),
        }
    }

    pub(crate) fn end(self, api: &Api, tenant: &TenantId, response: &Response) {
        let took = api.clock().now().since(self.time);
        let (id, trace) = (text(&self.id), text(&self.traceparent));
        api.app().request_add(
            tenant,
            &RequestNote {
                time: self.time,
                id,
                trace_id: trace.get(3..35).unwrap_or_default(),
                actor: &self.actor,
                operation: self.operation,
                path: &shown_up_to(self.uri.path(), PATH_CHARS_MAX),
                status: status(response),
                duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            },
        );
    }
}

/// A value that the envelope wrote, which has no byte that is not of some text.
fn text(value: &HeaderValue) -> &str {
    std::str::from_utf8(value.as_bytes()).unwrap_or_default()
}

/// The status; a gRPC answer that is an error says so in its headers and is 200 otherwise.
pub(super) fn status(response: &Response) -> u16 {
    match grpc_status(response.headers()) {
        Some(code) => http_of(code),
        None => response.status().as_u16(),
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<i32> {
    headers.get(&GRPC_STATUS)?.to_str().ok()?.parse().ok()
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
