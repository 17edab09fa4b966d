//! The browser's only way out: a proxy on loopback, one for each browser. Every connection is decided
//! upon by resolved address, as any request of a tenant's, and made to the address that was allowed; the
//! browser itself resolves no names. Whoever else on this machine finds the port is answered 407: the
//! credential is made for each browser, and told to it over its pipe.

use crate::http::{Connector, Unreached};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use caxton_core::egress::host_allowed;
use caxton_engine::port::{Entropy as _, SystemEntropy};
use caxton_engine::task::Tasks;
use http::header::{PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections of one browser.
const CONNECTIONS_MAX: usize = 128;
/// Refused hosts that are remembered of one step: the newest.
const REFUSED_MAX: usize = 32;
/// From asking to the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// From a connection, or the answer before, to all headers of a request.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(30);
/// Rest after a connection could not be taken: for want of descriptors, mostly.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// Bytes of a credential.
const CREDENTIAL_BYTES: usize = 32;
/// The page that a browser asks for to learn its credential. No name ends so (RFC 6761, 6.4).
pub const HELLO: &str = "http://caxton.invalid/";
const HELLO_HOST: &str = "caxton.invalid";

type Body = BoxBody<Bytes, hyper::Error>;

/// A host that was refused, and why.
#[derive(Clone, Debug)]
pub struct Refused {
    pub host: String,
    pub why: String,
}

/// What a browser says to its proxy, and nobody else can.
#[derive(Clone)]
pub struct Credential {
    pub user: &'static str,
    pub password: String,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential")
    }
}

impl Credential {
    fn new() -> Self {
        let mut secret = [0; CREDENTIAL_BYTES];
        SystemEntropy.fill(&mut secret);
        Self {
            user: "caxton",
            password: secret.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// RFC 7617.
    fn is_in(&self, said: Option<&HeaderValue>) -> bool {
        let said = said.and_then(|it| it.to_str().ok()).unwrap_or_default();
        let Some((scheme, given)) = said.split_once(' ') else {
            return false;
        };
        let expected = BASE64.encode(format!("{}:{}", self.user, self.password));
        scheme.eq_ignore_ascii_case("basic")
            && bool::from(given.trim().as_bytes().ct_eq(expected.as_bytes()))
    }
}

/// What all connections of one browser share.
#[derive(Debug)]
pub struct Way {
    connector: Connector,
    pub credential: Credential,
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
            credential: Credential::new(),
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
            tokio::time::sleep(ACCEPT_REST).await;
            continue;
        };
        let own = Arc::clone(&way);
        let place = Arc::new(place);
        way.tasks
            .spawn_until_stop("browser connection", async move {
                let answer = |request| {
                    let (way, place) = (Arc::clone(&own), Arc::clone(&place));
                    async move { Ok::<_, Infallible>(way.answer(request, place).await) }
                };
                let served = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADERS_TIMEOUT)
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
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Response<Body> {
        if !self
            .credential
            .is_in(request.headers().get(PROXY_AUTHORIZATION))
        {
            let mut refused = said(
                StatusCode::PROXY_AUTHENTICATION_REQUIRED,
                "this way out is one browser's".into(),
            );
            let how = HeaderValue::from_static("Basic realm=\"caxton\"");
            refused.headers_mut().insert(PROXY_AUTHENTICATE, how);
            return refused;
        }
        if request.uri().host() == Some(HELLO_HOST) {
            return said(StatusCode::OK, String::new());
        }
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
            return self.tunnel(request, stream, place);
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

    fn tunnel(
        &self,
        request: Request<Incoming>,
        mut to: tokio::net::TcpStream,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Response<Body> {
        self.tasks.spawn_until_stop("browser tunnel", async move {
            let _place = place;
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
            // That is this proxy's to say: a site would be told the credential, over and over.
            Ok(response) if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => said(
                StatusCode::BAD_GATEWAY,
                "the site answered as a proxy".into(),
            ),
            Ok(response) => response.map(|body| body.boxed()),
            Err(error) => failed(error),
        }
    }
}
