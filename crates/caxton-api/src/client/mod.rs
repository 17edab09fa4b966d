//! The REST client: one method for each operation, generated from the same rules as the router.
//!
//! It never hangs: connecting, answering and each silence of a stream have limits. It never retries
//! by itself, because only the caller knows whether a repetition is safe.

mod error;
mod outgoing;
mod stream;
mod trust;

use std::time::Duration;

use bytes::Bytes;
use caxton_core::error::shown_up_to;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

pub use error::ClientError;
pub use stream::EventStream;
pub use trust::{Anchor, Trust};

use outgoing::{Outgoing, Segment};

use crate::context::{API_KEY, LAST_EVENT_ID, TENANT};
use crate::error::{PROBLEM_JSON, Problem};

/// Connecting to a server may take this long.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An answer may take this long, besides what the request itself asks the server to wait.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// A stream may be silent this long: four of the server's heartbeats.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// Largest answer that is read, in bytes.
pub const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A client of one server. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Scheme and authority, without a slash at the end.
    server: String,
    key: Option<HeaderValue>,
    tenant: Option<HeaderValue>,
    response_timeout: Duration,
    silence_timeout: Duration,
    resume_after: Option<HeaderValue>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Client")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server at `server`, such as `http://127.0.0.1:7070`, which believes the
    /// machine's certificate authorities. Nothing is sent yet.
    ///
    /// # Errors
    /// As [`Client::trusting`].
    pub fn new(server: &str, key: Option<&str>, tenant: Option<&str>) -> Result<Self, ClientError> {
        Self::trusting(server, key, tenant, &Trust::default())
    }

    /// A client of the server at `server`, which believes whom it is told to.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] for an address that is neither `http://host:port` nor
    /// `https://host:port`, a key or tenant that cannot stand in a header, or files of certificates
    /// that cannot be used.
    pub fn trusting(
        server: &str,
        key: Option<&str>,
        tenant: Option<&str>,
        trust: &Trust,
    ) -> Result<Self, ClientError> {
        let server = address(server)?;
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(match server.starts_with("https") {
                true => trust::config(trust)?,
                // Nobody is believed, and no file is read, where there is nothing to verify.
                false => trust::nobody()?,
            });
        let connector = connector.https_or_http().enable_http1().wrap_connector(tcp);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        let key = key
            .map(|key| header_value("the key", key))
            .transpose()?
            .map(|mut key| {
                key.set_sensitive(true);
                key
            });
        Ok(Self {
            http,
            server,
            key,
            tenant: tenant
                .map(|tenant| header_value("the tenant", tenant))
                .transpose()?,
            response_timeout: RESPONSE_TIMEOUT,
            silence_timeout: SILENCE_TIMEOUT,
            resume_after: None,
        })
    }

    /// The same with another limit for answers, such as for a drain that may take minutes.
    #[must_use]
    pub fn with_response_timeout(mut self, limit: Duration) -> Self {
        self.response_timeout = limit;
        self
    }

    /// The same with another limit for the silence of a stream.
    #[must_use]
    pub fn with_silence_timeout(mut self, limit: Duration) -> Self {
        self.silence_timeout = limit;
        self
    }

    /// The same, whose streams go on after the event with this id.
    ///
    /// # Errors
    /// [`ClientError::Invalid`] for an id that cannot stand in a header.
    pub fn resuming_after(mut self, id: &str) -> Result<Self, ClientError> {
        self.resume_after = Some(header_value("the event id", id)?);
        Ok(self)
    }

    /// The server's address, as the client writes it.
    pub fn server(&self) -> &str {
        &self.server
    }

    async fn unary<T: DeserializeOwned>(&self, call: Outgoing) -> Result<T, ClientError> {
        let limit = self.response_timeout + call.waits();
        let work = async {
            let response = self.send(call, "application/json").await?;
            let body = read(response).await?;
            serde_json::from_slice(&body).map_err(|source| ClientError::Unexpected {
                what: "an answer that does not fit the contract".to_owned(),
                source: Some(Box::new(source)),
            })
        };
        timeout(limit, work)
            .await
            .map_err(|_| ClientError::TimedOut(limit))?
    }

    async fn no_content(&self, call: Outgoing) -> Result<crate::wkt::Empty, ClientError> {
        let limit = self.response_timeout;
        let work = async {
            let response = self.send(call, "application/json").await?;
            read(response).await
        };
        timeout(limit, work)
            .await
            .map_err(|_| ClientError::TimedOut(limit))??;
        Ok(crate::wkt::Empty {})
    }

    /// Bytes as they are, with their media type.
    async fn raw(&self, call: Outgoing) -> Result<(Bytes, String), ClientError> {
        let limit = self.response_timeout;
        let work = async {
            let response = self.send(call, "*/*").await?;
            let kind = response.headers().get(header::CONTENT_TYPE);
            let kind = kind.and_then(|it| it.to_str().ok()).unwrap_or_default();
            let kind = kind.to_owned();
            Ok((read(response).await?, kind))
        };
        timeout(limit, work)
            .await
            .map_err(|_| ClientError::TimedOut(limit))?
    }

    async fn stream<T: DeserializeOwned>(
        &self,
        call: Outgoing,
    ) -> Result<EventStream<T>, ClientError> {
        let limit = self.response_timeout;
        let sent = timeout(limit, self.send(call, "text/event-stream")).await;
        let response = sent.map_err(|_| ClientError::TimedOut(limit))??;
        let kind = response
            .headers()
            .get(header::CONTENT_TYPE)
            .map(HeaderValue::as_bytes);
        if !kind.is_some_and(|kind| kind.starts_with(b"text/event-stream")) {
            return Err(ClientError::unexpected(
                "an answer that is no stream of events",
            ));
        }
        Ok(EventStream::new(response.into_body(), self.silence_timeout))
    }

    /// Sends a call; an answer that is no success becomes its error.
    async fn send(
        &self,
        call: Outgoing,
        accept: &'static str,
    ) -> Result<Response<Incoming>, ClientError> {
        let (method, path, body) = call.finish();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header(header::ACCEPT, accept)
            .header(
                header::USER_AGENT,
                concat!("caxton/", env!("CARGO_PKG_VERSION")),
            );
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let given = [
            (&API_KEY, &self.key),
            (&TENANT, &self.tenant),
            (&LAST_EVENT_ID, &self.resume_after),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let request = request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| ClientError::Invalid(error.to_string()))?;
        let sent = self.http.request(request).await;
        let response = sent.map_err(|source| match source.is_connect() {
            true => ClientError::Unreachable {
                server: self.server.clone(),
                source: Box::new(source),
            },
            false => ClientError::Interrupted(Box::new(source)),
        })?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(refusal(response).await)
        }
    }
}

/// The error of an answer that is no success.
async fn refusal(response: Response<Incoming>) -> ClientError {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).cloned();
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(seconds);
    let body = match read(response).await {
        Ok(body) => body,
        Err(error) => return error,
    };
    let is_problem = kind.is_some_and(|kind| kind.as_bytes().starts_with(PROBLEM_JSON.as_bytes()));
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) if is_problem => ClientError::Problem {
            problem: Box::new(problem),
            retry_after,
        },
        _ => ClientError::unexpected(not_ours(status, &body)),
    }
}

/// Characters of a foreign answer that are told.
const FOREIGN_CHARS_MAX: usize = 200;

fn not_ours(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    match text.trim() {
        "" => format!("status {status} without a problem document; is it a Caxton server?"),
        text => {
            let said = shown_up_to(text, FOREIGN_CHARS_MAX);
            format!("status {status} and no problem document: {said}")
        }
    }
}

fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

async fn read(response: Response<Incoming>) -> Result<Bytes, ClientError> {
    let read = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
    let body = read.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => ClientError::unexpected("an answer larger than 256 MiB"),
        None => ClientError::Interrupted(error),
    })?;
    Ok(body.to_bytes())
}

/// `http://host[:port]` or `https://host[:port]`, with nothing behind.
fn address(server: &str) -> Result<String, ClientError> {
    let invalid =
        |what: &str| ClientError::Invalid(format!("the server's address `{server}` {what}"));
    let url = if server.contains("://") {
        server.to_owned()
    } else {
        format!("http://{server}")
    };
    let uri: http::Uri = url.parse().map_err(|_| invalid("is no URL"))?;
    let scheme = match uri.scheme_str() {
        Some(scheme @ ("http" | "https")) => scheme,
        _ => return Err(invalid("begins neither with http:// nor with https://")),
    };
    let authority = uri.authority().ok_or_else(|| invalid("names no host"))?;
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@')
    {
        return Err(invalid("has more than a host and a port"));
    }
    Ok(format!("{scheme}://{authority}"))
}

fn header_value(what: &str, text: &str) -> Result<HeaderValue, ClientError> {
    HeaderValue::from_str(text)
        .map_err(|_| ClientError::Invalid(format!("{what} has characters a header cannot hold")))
}

include!(concat!(env!("OUT_DIR"), "/client.rs"));

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn an_address_is_a_host_and_a_port() {
        let check = |server: &str, expected: Option<&str>| {
            let client = Client::new(server, None, None).ok();
            assert_eq!(client.as_ref().map(Client::server), expected, "{server}");
        };
        check("http://127.0.0.1:7070", Some("http://127.0.0.1:7070"));
        check("http://127.0.0.1:7070/", Some("http://127.0.0.1:7070"));
        check("127.0.0.1:7070", Some("http://127.0.0.1:7070"));
        check("http://[::1]:7070", Some("http://[::1]:7070"));
        check("https://a:1/", Some("https://a:1"));
        for wrong in [
            "",
            "ftp://a",
            "http://",
            "http://a/b",
            "http://a?b",
            "http://u@a",
            "a b",
        ] {
            check(wrong, None);
        }
    }

    #[tokio::test]
    async fn a_key_never_shows() {
        let client = Client::new("127.0.0.1:1", Some("cx_adm_1_secret"), None).unwrap();
        assert!(!format!("{client:?}").contains("secret"));
        assert!(Client::new("127.0.0.1:1", Some("a\nb"), None).is_err());
    }
}
