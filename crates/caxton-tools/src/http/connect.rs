//! Connections, made to addresses that have been decided upon.

use super::resolve::Resolve;
use ::http::Uri;
use caxton_core::egress::{self, Inner};
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// How long one of several addresses is tried.
const TRY_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection may take so long at all, TLS apart; who asks may give up before.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Connects. With a list of allowed addresses it decides, without one it does not.
#[derive(Clone, Debug)]
pub struct Connector {
    resolver: Arc<dyn Resolve>,
    allowed: Option<Arc<[IpAddr]>>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    #[error("{host} is {inner}, and such addresses are not reached from here")]
    Refused { host: String, inner: Inner },
    #[error("{host} has no address: {why}")]
    Unresolved { host: String, why: String },
    #[error("{host}: {source}")]
    Failed {
        host: String,
        #[source]
        source: io::Error,
    },
}

impl Connector {
    pub fn new(resolver: Arc<dyn Resolve>, allowed: Option<Vec<IpAddr>>) -> Self {
        Self {
            resolver,
            allowed: allowed.map(Into::into),
        }
    }

    /// To an address that may be reached.
    pub async fn connect(&self, uri: &Uri) -> Result<TcpStream, Unreached> {
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri
            .port_u16()
            .unwrap_or(if uri.scheme_str() == Some("https") {
                443
            } else {
                80
            });
        let addresses = self.addresses(host).await?;
        let mut failed = None;
        for (at, address) in addresses.iter().enumerate() {
            let is_last = at + 1 == addresses.len();
            let limit = if is_last {
                CONNECT_TIMEOUT_MAX
            } else {
                TRY_TIMEOUT
            };
            let stream = TcpStream::connect(SocketAddr::new(*address, port));
            match tokio::time::timeout(limit, stream).await {
                Ok(Ok(stream)) => {
                    // Small writes must not wait for one another.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => failed = Some(error),
                Err(_) => failed = Some(io::ErrorKind::TimedOut.into()),
            }
        }
        Err(Unreached::Failed {
            host: host.to_owned(),
            source: failed.unwrap_or_else(|| io::ErrorKind::NotFound.into()),
        })
    }

    /// The addresses that may be tried.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Unreached> {
        let mut found = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => {
                let unresolved = |why: String| Unreached::Unresolved {
                    host: host.to_owned(),
                    why,
                };
                let found = tokio::time::timeout(CONNECT_TIMEOUT_MAX, self.resolver.resolve(host));
                let found = found
                    .await
                    .map_err(|_| unresolved("no answer in time".to_owned()))?;
                let found = found.map_err(|error| unresolved(error.to_string()))?;
                if found.is_empty() {
                    return Err(unresolved("the name is known and has none".to_owned()));
                }
                found
            }
        };
        if let Some(allowed) = &self.allowed {
            let mut refused = None;
            found.retain(|address| match egress::decide(*address) {
                Err(inner) if !allowed.contains(address) => {
                    refused = Some(inner);
                    false
                }
                _ => true,
            });
            if let (true, Some(inner)) = (found.is_empty(), refused) {
                let host = host.to_owned();
                return Err(Unreached::Refused { host, inner });
            }
        }
        found.truncate(ADDRESSES_MAX);
        Ok(found)
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = Unreached;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.connect(&uri).await.map(TokioIo::new) })
    }
}
