//! The browser's only way out: a proxy on loopback, one for each browser. Every connection is decided
//! upon by resolved address, as any request of a tenant's, and made to the address that was allowed; the
//! browser itself resolves no names.

use crate::http::{Connector, Unreached};
use bytes::Bytes;
use caxton_core::egress::host_allowed;
use caxton_engine::task::Tasks;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections of one browser.
const CONNECTIONS_MAX: usize = 128;
/// Refused hosts that are remembered of one step: the newest.
const REFUSED_MAX: usize = 32;
/// From asking to the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

type Body = BoxBody<Bytes, hyper::Error>;

/// A host that was refused, and why.
#[derive(Clone, Debug)]
pub struct Refused {
    pub host: String,
    pub why: String,
}

/// What all connections of one browser share.
#[derive(Debug)]
pub struct Way {
    connector: Connector,
    /// Hosts that the tenant allows now.
    pub hosts: Mutex<Arc<[String]>>,
    refused: Mutex<VecDeque<Refused>>,
    tasks: Tasks,
}

/// A proxy that runs; dropped, it ends with its connections.
#[derive(Debug)]
pub struct Proxy {
    pub at: SocketAddr,
    pub way: Arc<Way>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.way.tasks.begin_stop();
    }
}

impl Proxy {
    pub async fn start(connector: Connector) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        let way = Arc::new(Way {
            connector,
            hosts: Mutex::default(),
            refused: Mutex::default(),
            tasks: Tasks::new(),
        });
        let accepting = accept(listener, Arc::clone(&way));
        way.tasks.spawn_until_stop("browser proxy", accepting);
        Ok(Self { at, way })
    }
}

async fn accept(listener: TcpListener, way: Arc<Way>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let own = Arc::clone(&way);
        way.tasks
            .spawn_until_stop("browser connection", async move {
                let _place = place;
                let answer = |request| {
                    let way = Arc::clone(&own);
                    async move { Ok::<_, Infallible>(way.answer(request).await) }
                };
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), hyper::service::service_fn(answer))
                    .with_upgrades();
                let _ = served.await;
            });
    }
}

fn said(status: StatusCode, text: String) -> Response<Body> {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    let mut response = Response::new(body.boxed());
    *response.status_mut() = status;
    response
}

impl Way {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let uri = match request.method() {
            &Method::CONNECT => format!("https://{}", request.uri()).parse().ok(),
            _ => Some(request.uri().clone()).filter(|it| it.scheme_str() == Some("http")),
        };
        let Some(uri) = uri.filter(|it: &Uri| it.host().is_some()) else {
            return said(
                StatusCode::BAD_REQUEST,
                "a proxy is asked for whole addresses".into(),
            );
        };
        let stream = match self.reach(&uri).await {
            Ok(stream) => stream,
            Err((status, why)) => return said(status, why),
        };
        if request.method() == Method::CONNECT {
            return self.tunnel(request, stream);
        }
        self.forward(request, uri, stream).await
    }

    fn note_refused(&self, host: &str, why: &str) {
        let mut refused = self.refused.lock();
        refused.retain(|it| it.host != host);
        if refused.len() == REFUSED_MAX {
            refused.pop_front();
        }
        refused.push_back(Refused {
            host: host.to_owned(),
            why: why.to_owned(),
        });
    }

    /// What was refused since this was asked last, in order. A page asks for much besides itself (its
    /// icon, pictures, what its scripts fetch), so the last refusal need not be the page's own.
    pub fn take_refused(&self) -> VecDeque<Refused> {
        std::mem::take(&mut *self.refused.lock())
    }

    async fn reach(&self, uri: &Uri) -> Result<tokio::net::TcpStream, (StatusCode, String)> {
        let host = uri.host().unwrap_or_default();
        let refuse = |why: String| {
            self.note_refused(host, &why);
            Err((StatusCode::FORBIDDEN, why))
        };
        let hosts = Arc::clone(&self.hosts.lock());
        if !host_allowed(&hosts, host) {
            return refuse(format!(
                "{host} is not among the hosts that the tenant lets tools reach"
            ));
        }
        match tokio::time::timeout(CONNECT_TIMEOUT, self.connector.connect(uri)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(unreached @ Unreached::Refused { .. })) => refuse(unreached.to_string()),
            Ok(Err(other)) => Err((StatusCode::BAD_GATEWAY, other.to_string())),
            Err(_) => Err((StatusCode::GATEWAY_TIMEOUT, "no connection in time".into())),
        }
    }

    fn tunnel(&self, request: Request<Incoming>, mut to: tokio::net::TcpStream) -> Response<Body> {
        self.tasks.spawn_until_stop("browser tunnel", async move {
            if let Ok(from) = hyper::upgrade::on(request).await {
                let mut from = TokioIo::new(from);
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            }
        });
        said(StatusCode::OK, String::new())
    }

    /// One request over a connection of its own, to the one host that was decided upon.
    async fn forward(
        &self,
        mut request: Request<Incoming>,
        uri: Uri,
        to: tokio::net::TcpStream,
    ) -> Response<Body> {
        let failed = |error: hyper::Error| said(StatusCode::BAD_GATEWAY, error.to_string());
        let path = uri.path_and_query().map_or("/", |it| it.as_str());
        let (Ok(path), Some(authority)) = (path.parse(), uri.authority()) else {
            return said(StatusCode::BAD_REQUEST, "the address".into());
        };
        let Ok(host) = http::HeaderValue::from_str(authority.as_str()) else {
            return said(StatusCode::BAD_REQUEST, "the host".into());
        };
        *request.uri_mut() = path;
        let headers = request.headers_mut();
        headers.insert(http::header::HOST, host);
        for name in [
            "proxy-connection",
            "proxy-authorization",
            "connection",
            "upgrade",
        ] {
            headers.remove(name);
        }
        let hands = hyper::client::conn::http1::handshake(TokioIo::new(to)).await;
        let (mut sender, connection) = match hands {
            Ok(both) => both,
            Err(error) => return failed(error),
        };
        self.tasks.spawn_until_stop("browser request", async move {
            let _ = connection.await;
        });
        match sender.send_request(request).await {
            Ok(response) => response.map(|body| body.boxed()),
            Err(error) => failed(error),
        }
    }
}
