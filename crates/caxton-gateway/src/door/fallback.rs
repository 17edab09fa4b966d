//! Answers to what no operation took.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use caxton_api::rest;

use super::is_grpc;

/// A path the API does not have; on gRPC a method it does not have.
pub(crate) async fn route_unknown(request: Request) -> Response {
    if is_grpc(request.headers()) {
        let detail = "the server has no such service or method";
        return tonic::Status::unimplemented(detail)
            .into_http::<axum::body::Body>()
            .into_response();
    }
    rest::route_unknown(request).await
}
