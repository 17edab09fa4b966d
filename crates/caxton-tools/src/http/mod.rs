//! Requests over HTTP/1.1 and HTTP/2, with TLS by rustls.
//!
//! What a tenant asks for goes to addresses only that the egress decision allows: the name is resolved
//! here, each address is decided upon, and the connection is made to one that was allowed, so that no
//! second look-up can lead elsewhere. That holds for each redirect, since each has its own connection.
//! What the operator configured is not decided upon, and has connections of its own: a tenant's request
//! can never go out on one that was made for the operator. Proxies of the environment mean nothing
//! here, and answers are not decompressed.

mod connect;
mod crowd;
mod redirect;
mod resolve;

pub(crate) use connect::{Connector, Unreached};
pub use resolve::{Resolve, SystemResolver};

use ::http::header::{HeaderMap, HeaderName, HeaderValue as Value};
use ::http::{Method, Request, Uri};
use bytes::Bytes;
use caxton_engine::port::Answer;
use caxton_engine::port::http::{HeaderValue, Http, HttpAnswer, HttpFault, HttpRequest, Trust};
use caxton_engine::task::Tasks;
use crowd::Crowd;
use futures::StreamExt as _;
use http_body_util::{BodyDataStream, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::TokioTimer;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What the adapter is made of.
#[derive(Debug, Clone)]
pub struct Options {
    pub resolver: Arc<dyn Resolve>,
    /// Inner addresses that the operator lets tenants reach.
    pub allowed: Vec<IpAddr>,
    /// Certificate authorities in PEM, believed besides the machine's.
    pub ca_file: Option<PathBuf>,
    /// Requests on their way to one host: for the operator, and for each tenant.
    pub requests_per_host_max: usize,
    /// Idle connections that are kept to one host.
    pub idle_per_host_max: usize,
    pub idle_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            resolver: Arc::new(SystemResolver),
            allowed: Vec::new(),
            ca_file: None,
            requests_per_host_max: 2_048,
            idle_per_host_max: 128,
            idle_timeout: Duration::from_secs(60),
        }
    }
}

/// Why there is no adapter.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read certificate authorities from {path}")]
    Authorities {
        path: PathBuf,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    #[error("no certificate authorities in {0}")]
    NoAuthorities(PathBuf),
    #[error("no TLS")]
    Tls(#[source] rustls::Error),
}

/// Largest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Longest address, in bytes.
const URL_BYTES_MAX: usize = 8 << 10;
/// An HTTP/2 connection that answers nothing for so long is looked at, and for so long again given up.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

type Outward = Client<HttpsConnector<Connector>, Full<Bytes>>;

/// The adapter.
#[derive(Debug)]
pub struct HttpOut {
    operators: Outward,
    tenants: Outward,
    crowd: Crowd,
}

impl HttpOut {
    /// # Errors
    /// Certificate authorities that cannot be read.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let tls = tls(options)?;
        // Connections end with their client; nothing else has to wait for them.
        let tasks = Tasks::new();
        let make = |decides: bool| {
            let connector = Connector::new(
                Arc::clone(&options.resolver),
                decides.then(|| options.allowed.clone()),
            );
            let connector = HttpsConnectorBuilder::new()
                .with_tls_config(tls.clone())
                .https_or_http()
                .enable_all_versions()
                .wrap_connector(connector);
            Client::builder(OnTasks(tasks.clone()))
                .pool_timer(TokioTimer::new())
                .timer(TokioTimer::new())
                .pool_max_idle_per_host(options.idle_per_host_max)
                .pool_idle_timeout(options.idle_timeout)
                .http1_max_buf_size(HEAD_BYTES_MAX)
                .http2_max_header_list_size(HEAD_BYTES_MAX as u32)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .http2_keep_alive_timeout(KEEP_ALIVE)
                .build(connector)
        };
        Ok(Self {
            operators: make(false),
            tenants: make(true),
            crowd: Crowd::new(options.requests_per_host_max),
        })
    }

    /// Sends, and follows where it is sent on to.
    async fn go(&self, request: HttpRequest) -> Result<HttpAnswer, HttpFault> {
        let mut url = parse(&request.url)?;
        let mut hop = redirect::Hop {
            method: method(request.method)?,
            headers: headers(&request.headers)?,
            body: request.body,
        };
        let mut left = request.redirects_max;
        loop {
            let answer = self
                .once(&url, &hop, &request.trust, request.connect_timeout)
                .await?;
            let next = redirect::target(&url, &answer).filter(|_| left > 0);
            let Some(next) = next else {
                return Ok(answer);
            };
            left -= 1;
            let next = parse(&next)?;
            hop.follow(answer.status, url.origin() == next.origin());
            url = next;
        }
    }

    /// One request and the head of its answer.
    async fn once(
        &self,
        url: &Url,
        hop: &redirect::Hop,
        trust: &Trust,
        connect_timeout: Duration,
    ) -> Result<HttpAnswer, HttpFault> {
        let uri: Uri = url
            .as_str()
            .parse()
            .map_err(|_| malformed("the address is no URL"))?;
        let host = url.host_str().unwrap_or_default();
        let place = tokio::time::timeout(connect_timeout, self.crowd.enter(trust, host)).await;
        let place = place.map_err(|_| {
            HttpFault::Connect(format!("too many requests to {host} are on their way"))
        })?;
        let mut request = Request::new(Full::new(hop.body.clone()));
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = hop.headers.clone();
        let client = match trust {
            Trust::Operator => &self.operators,
            Trust::Tenant(_) => &self.tenants,
        };
        let mut connection = capture_connection(&mut request);
        let sent = client.request(request);
        tokio::pin!(sent);
        let connected = async {
            let waited = connection.wait_for_connection_metadata();
            tokio::time::timeout(connect_timeout, waited).await.is_ok()
        };
        let response = tokio::select! {
            biased;
            response = &mut sent => response,
            connected = connected => {
                if !connected {
                    return Err(HttpFault::ConnectTimeout);
                }
                sent.await
            }
        };
        let (head, body) = response.map_err(|error| unsent(&error))?.into_parts();
        let text = |(name, value): (&HeaderName, &Value)| {
            let value = value.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        };
        Ok(HttpAnswer {
            status: head.status.as_u16(),
            headers: head.headers.iter().filter_map(text).collect(),
            body: received(body, place),
        })
    }
}

impl Http for HttpOut {
    fn send(&self, request: HttpRequest) -> Answer<'_, Result<HttpAnswer, HttpFault>> {
        Box::pin(self.go(request))
    }
}

/// hyper's connections as tasks of ours.
#[derive(Clone, Debug)]
struct OnTasks(Tasks);

impl<F> hyper::rt::Executor<F> for OnTasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.0.spawn("http connection", async move {
            task.await;
        });
    }
}

fn tls(options: &Options) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if let Some(path) = &options.ca_file {
        let failed = |source| Error::Authorities {
            path: path.clone(),
            source,
        };
        let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
            .map_err(failed)?
            .collect();
        let (added, _) = roots.add_parsable_certificates(found.map_err(failed)?);
        if added == 0 {
            return Err(Error::NoAuthorities(path.clone()));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(Error::Tls)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn malformed(what: &str) -> HttpFault {
    HttpFault::Malformed(what.to_owned())
}

/// An address as browsers read it, so that every spelling of an IP address is that address.
fn parse(text: &str) -> Result<Url, HttpFault> {
    if text.len() > URL_BYTES_MAX {
        return Err(malformed("the address is too long"));
    }
    let mut url = Url::parse(text).map_err(|error| malformed(&format!("the address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(malformed("the address is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(malformed("the address has a user or password in it"));
    }
    url.set_fragment(None);
    Ok(url)
}

fn method(text: &str) -> Result<Method, HttpFault> {
    match Method::from_bytes(text.as_bytes()) {
        Ok(method) if method != Method::CONNECT => Ok(method),
        _ => Err(malformed("the method")),
    }
}

/// What belongs to the connection, or says where a body ends, is hyper's to write.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn headers(given: &[(String, HeaderValue)]) -> Result<HeaderMap, HttpFault> {
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let bad = || malformed(&format!("the header {}", caxton_core::error::shown(name)));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        if RESERVED.contains(&name.as_str()) {
            return Err(bad());
        }
        let value = match value {
            HeaderValue::Plain(text) => Value::from_str(text).map_err(|_| bad())?,
            HeaderValue::Secret(prefix, secret) => {
                let text = format!("{prefix}{}", secret.reveal());
                let mut value = Value::from_str(&text).map_err(|_| bad())?;
                value.set_sensitive(true);
                value
            }
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// Why there is no answer, from hyper's error and what lies under it.
fn unsent(error: &hyper_util::client::legacy::Error) -> HttpFault {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(unreached) = inner.downcast_ref::<Unreached>() {
            return match unreached {
                Unreached::Refused { .. } => HttpFault::Refused(unreached.to_string()),
                _ => HttpFault::Connect(unreached.to_string()),
            };
        }
        text = inner.to_string();
        source = inner.source();
    }
    if error.is_connect() {
        HttpFault::Connect(text)
    } else {
        HttpFault::Broken(text)
    }
}

/// The body as it comes; it holds its place among the requests on their way.
fn received(
    body: Incoming,
    place: crowd::Place,
) -> futures::stream::BoxStream<'static, Result<Bytes, HttpFault>> {
    let pieces = BodyDataStream::new(body);
    pieces
        .map(move |piece| {
            let _ = &place;
            piece.map_err(|error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                HttpFault::Broken(cause.unwrap_or_else(|| error.to_string()))
            })
        })
        .boxed()
}

#[cfg(test)]
mod tests;
