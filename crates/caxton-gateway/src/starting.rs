//! What answers while the engine starts: probes, so that an orchestrator sees a server that is alive
//! and not ready, where a closed port would look like one that is not there. Everything else is told
//! to come back.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use caxton_api::ApiError;
use caxton_core::Code;
use caxton_engine::task::Tasks;
use futures::stream::{FuturesUnordered, StreamExt};
use http::{HeaderValue, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::door::refuse;
use crate::probes::{self, Health};
use crate::serve::Spawn;
use crate::tls::{Tls, handshake};

/// Connections served at one time; more wait for the engine.
const CONNECTIONS_MAX: usize = 64;
/// How long one connection is served: a probe asks one thing.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(5);
/// What a client is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Answers probes on a listener that the gateway has later, until it is dropped.
pub async fn starting(listener: &TcpListener, tls: Option<&Tls>) -> Infallible {
    let router = router();
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = open.next() => {}
            accepted = listener.accept(), if open.len() < CONNECTIONS_MAX => {
                // What cannot be accepted now may be later; the gateway tells of it then.
                if let Ok((stream, _)) = accepted {
                    let serving = connection(stream, tls, router.clone());
                    let serving = timeout(CONNECTION_TIME_MAX, Box::pin(serving));
                    open.push(async move {
                        let _ = serving.await;
                    });
                }
            }
        }
    }
}

fn router() -> Router {
    let loading = async |RawQuery(query): RawQuery, probe: &'static str| {
        let loading = Health::Failed("are still loading");
        let found = vec![("ping", Health::Well), ("agents", loading)];
        probes::answer(probe, found, query.as_deref())
    };
    let live = async |RawQuery(query): RawQuery| {
        probes::answer("livez", vec![("ping", Health::Well)], query.as_deref())
    };
    Router::new()
        .route("/livez", get(live))
        .route("/health", get(live))
        .route("/readyz", get(move |query| loading(query, "readyz")))
        .route("/ready", get(move |query| loading(query, "readyz")))
        .route("/startupz", get(move |query| loading(query, "startupz")))
        .fallback(later)
}

async fn later(request: Request) -> Response {
    let mut error = ApiError::new(Code::Starting, "the server brings its agents back");
    error.retry_after = Some(RETRY_AFTER);
    refuse(&request, error)
}

async fn connection(stream: TcpStream, tls: Option<&Tls>, router: Router) {
    match tls {
        None => http(stream, router).await,
        Some(tls) => {
            if let Ok((stream, _)) = handshake::shake(tls, stream).await {
                http(stream, router).await;
            }
        }
    }
}

async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, router: Router) {
    use tower::ServiceExt as _;
    let service = tower::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let is_http1 = request.version() < http::Version::HTTP_2;
            let request = request.map(axum::body::Body::new);
            let mut response = router.oneshot(request).await.into_response();
            if is_http1 {
                // The next request is for the gateway, on a connection of its own.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(response)
        }
    });
    // Streams of a connection end with it.
    let mut builder = Builder::new(Spawn(Tasks::new()));
    builder.http1().timer(TokioTimer::new());
    let service = TowerToHyperService::new(service);
    // Errors here are the client's.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
