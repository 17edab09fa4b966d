//! Answers to what no operation takes.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use caxton_api::ApiError;
use caxton_core::Code;
use caxton_core::error::shown;
use http::StatusCode;

use super::{is_grpc, refuse};

/// A path the API does not have; on gRPC a method it does not have.
pub(crate) async fn route_unknown(request: Request) -> Response {
    if is_grpc(request.headers()) {
        return rpc_unknown();
    }
    let detail = format!("nothing is at {}", shown(request.uri().path()));
    refuse(&request, ApiError::new(Code::RouteUnknown, detail))
}

/// A service or method that gRPC does not have here.
pub(crate) fn rpc_unknown() -> Response {
    let detail = "the server has no such service or method";
    let known = tonic::Status::from(ApiError::new(Code::RouteUnknown, detail));
    let (message, details) = (known.message(), known.details().to_vec());
    let code = tonic::Code::Unimplemented;
    tonic::Status::with_details(code, message, details.into())
        .into_http::<axum::body::Body>()
        .into_response()
}

/// A method the path does not have. axum adds `Allow`.
pub(crate) async fn method_unknown(request: Request) -> Response {
    let path = shown(request.uri().path());
    let detail = format!("{path} does not take {}", request.method());
    let error = ApiError::new(Code::MethodUnknown, detail);
    refuse(&request, error.with_status(StatusCode::METHOD_NOT_ALLOWED))
}
