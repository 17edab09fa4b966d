//! The log of requests: each one that somebody known made, with what came of it. It has no body, no
//! query and no credential in it, so that it has no secret in it.

use axum::extract::Request;
use axum::response::Response;
use caxton_api::context::{GRPC_STATUS, REQUEST_ID, TRACEPARENT};
use caxton_core::{TenantId, TraceContext};
use caxton_engine::requests::RequestEntry;
use http::{HeaderMap, HeaderName};

use super::auth::Caller;
use crate::api::Api;

/// Longest path that is kept whole, in characters.
const PATH_CHARS_MAX: usize = 256;

/// A request that was begun, to be noted when it is answered.
#[derive(Debug)]
pub(crate) struct Noted(RequestEntry);

impl Noted {
    pub(crate) fn begin(
        api: &Api,
        caller: &Caller,
        operation: &'static str,
        request: &Request,
    ) -> Self {
        let headers = request.headers();
        let text = |name: &HeaderName| {
            let value = headers.get(name).and_then(|it| it.to_str().ok());
            value.unwrap_or_default()
        };
        let trace = TraceContext::parse(text(&TRACEPARENT));
        Self(RequestEntry {
            time: api.clock().now(),
            id: text(&REQUEST_ID).to_owned(),
            trace_id: trace.map(|it| it.trace_id_hex()).unwrap_or_default(),
            actor: caller.principal().to_string(),
            operation: operation.into(),
            path: caxton_core::error::shown_up_to(request.uri().path(), PATH_CHARS_MAX),
            status: 0,
            duration_us: 0,
        })
    }

    pub(crate) fn end(self, api: &Api, tenant: &TenantId, response: &Response) {
        let Self(mut entry) = self;
        entry.status = status(response);
        let took = api.clock().now().since(entry.time);
        entry.duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        api.app().request_add(tenant, entry);
    }
}

/// The status; a gRPC answer that is an error says so in its headers and is 200 otherwise.
fn status(response: &Response) -> u16 {
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
