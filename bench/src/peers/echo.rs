//! Bare tonic and bare axum that echo what they are sent, without anything a server has besides: no
//! key, no permission, no limit, no log, no trace.

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use caxton_api::v1;
use std::convert::Infallible;
use std::future::Ready;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};

/// Serves a router on a free port of loopback, as the server does: HTTP/1.1 and HTTP/2 alike.
pub async fn serve(router: Router) -> anyhow::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// `GET /v1/tenants/{tenant}/quota`, which answers with a quota as JSON.
pub fn rest() -> Router {
    Router::new().route(
        "/v1/tenants/{tenant}/quota",
        get(async |Path(tenant): Path<String>| Json(quota(&tenant))),
    )
}

/// The same over gRPC.
pub fn grpc() -> Router {
    tonic::service::Routes::new(Limits)
        .prepare()
        .into_axum_router()
}

/// What both answer: as much as Caxton does.
fn quota(tenant: &str) -> v1::Quota {
    let limit = v1::QuotaLimit {
        limit: tenant.len() as u64,
        period: "month".to_owned(),
        overage: "refuse".to_owned(),
    };
    v1::Quota {
        messages: Some(limit),
        ..v1::Quota::default()
    }
}

#[derive(Clone)]
struct Limits;

impl NamedService for Limits {
    const NAME: &'static str = "caxton.v1.Limits";
}

impl UnaryService<v1::GetQuotaRequest> for Limits {
    type Response = v1::Quota;
    type Future = Ready<Result<tonic::Response<v1::Quota>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<v1::GetQuotaRequest>) -> Self::Future {
        let answer = quota(&request.get_ref().tenant);
        std::future::ready(Ok(tonic::Response::new(answer)))
    }
}

impl tower::Service<http::Request<Body>> for Limits {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(tonic_prost::ProstCodec::default());
            Ok(grpc.unary(service, request).await)
        })
    }
}
