//! Getting an issuer's keys over HTTP: from configured addresses only, without redirects, within a
//! time and a size.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use caxton_engine::port::Answer;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

/// An answer may take this long, connecting included.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Largest answer that is read, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Gets documents of issuers.
pub trait Fetch: Send + Sync + std::fmt::Debug {
    /// The document at an address that was found [`permitted`].
    fn get<'a>(&'a self, uri: &'a str) -> Answer<'a, Result<Bytes, FetchError>>;
}

/// Why there is no document, in words for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(String);

impl FetchError {
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Whether keys may come from an address: only where nobody between could change them.
pub(super) fn permitted(uri: &str) -> Result<(), String> {
    let parsed: Uri = uri.parse().map_err(|_| format!("`{uri}` is no URL"))?;
    let host = parsed.host().unwrap_or_default();
    let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    match parsed.scheme_str() {
        Some("https") if !host.is_empty() => Ok(()),
        Some("http") if loopback => Ok(()),
        _ => Err(format!("`{uri}` is neither https nor on this machine")),
    }
}

/// Over HTTP, believing certificate authorities.
#[derive(Debug, Clone)]
pub struct HttpFetch {
    http: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl HttpFetch {
    /// Believes the authorities of this PEM file, or else the machine's.
    ///
    /// # Errors
    /// Where the file cannot be read or holds none.
    pub fn new(authorities: Option<&Path>) -> Result<Self, FetchError> {
        let mut roots = RootCertStore::empty();
        match authorities {
            // A machine without any can still get keys from files and from itself.
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
            Some(path) => {
                let failed = |why: String| FetchError(format!("{}: {why}", path.display()));
                let found = CertificateDer::pem_file_iter(path);
                for certificate in found.map_err(|error| failed(error.to_string()))? {
                    let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                    let added = roots.add(certificate);
                    added.map_err(|error| failed(error.to_string()))?;
                }
                if roots.is_empty() {
                    return Err(failed("holds no certificate in PEM".to_owned()));
                }
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| FetchError(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(TIMEOUT));
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let mut builder = Client::builder(TokioExecutor::new());
        // Keys are got minutes apart: a connection is not worth keeping.
        let http = builder.pool_max_idle_per_host(0).build(connector);
        Ok(Self { http })
    }

    async fn read(&self, uri: &str) -> Result<Bytes, FetchError> {
        let failed = |why: String| FetchError(format!("{uri}: {why}"));
        let parsed: Uri = uri.parse().map_err(|_| failed("is no URL".to_owned()))?;
        let response = self.http.get(parsed).await;
        let response = response.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            failed(cause.unwrap_or_else(|| error.to_string()))
        })?;
        if response.status() != StatusCode::OK {
            return Err(failed(format!("status {}", response.status())));
        }
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
        let body = body.await.map_err(|error| failed(error.to_string()))?;
        Ok(body.to_bytes())
    }
}

impl Fetch for HttpFetch {
    fn get<'a>(&'a self, uri: &'a str) -> Answer<'a, Result<Bytes, FetchError>> {
        Box::pin(async move {
            let read = timeout(TIMEOUT, self.read(uri)).await;
            read.unwrap_or_else(|_| Err(FetchError(format!("{uri}: no answer in {TIMEOUT:?}"))))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_where_nobody_between_changes_them() {
        let check = |uri: &str, expected: bool| {
            assert_eq!(permitted(uri).is_ok(), expected, "{uri}");
        };
        check("https://login.example.org/jwks", true);
        check("http://127.0.0.1:9000/jwks", true);
        check("http://localhost/jwks", true);
        check("http://[::1]:1/jwks", true);
        check("http://login.example.org/jwks", false);
        check("http://localhost.example.org/", false);
        check("http://127.0.0.1.example.org/", false);
        check("http://localhost@example.org/", false);
        check("file:///etc/passwd", false);
        check("https://", false);
        check("/jwks", false);
        check("", false);
    }
}
