//! A layer of the doors. [`axum::middleware::from_fn`] would do, but each request would pay for it with
//! copies of all that lies within the layer, and this passes each request twice.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use axum::routing::Route;
use futures::future::BoxFuture;
use tower::{Layer, Service};

/// Something that every request passes on its way in and out. Cheap to clone.
pub(crate) trait Pass: Clone + Send + Sync + 'static {
    /// Answers, mostly by what lies within.
    fn pass(self, request: Request, within: Within) -> impl Future<Output = Response> + Send;
}

/// What lies within a layer.
#[derive(Debug, Clone)]
pub(crate) struct Within(Arc<Route>);

impl Within {
    pub(crate) async fn answer(&self, request: Request) -> Response {
        let mut route = Route::clone(&self.0);
        route
            .call(request)
            .await
            .unwrap_or_else(|never| match never {})
    }
}

/// Puts a [`Pass`] around routes.
#[derive(Debug, Clone)]
pub(crate) struct Around<P>(pub(crate) P);

impl<P: Pass> Layer<Route> for Around<P> {
    type Service = Passing<P>;

    fn layer(&self, route: Route) -> Passing<P> {
        Passing {
            pass: self.0.clone(),
            within: Within(Arc::new(route)),
        }
    }
}

/// A route with a [`Pass`] around it.
#[derive(Debug, Clone)]
pub(crate) struct Passing<P> {
    pass: P,
    within: Within,
}

impl<P: Pass> Service<Request> for Passing<P> {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (pass, within) = (self.pass.clone(), self.within.clone());
        Box::pin(async move { Ok(pass.pass(request, within).await) })
    }
}
