//! Streamable HTTP over the one way out. The protocol's library has the state machine; addresses,
//! credentials and sizes are ours.

use super::greeting::{discovers, understood};
use super::handler::Health;
use super::sse;
use crate::outward::{CONNECT_TIMEOUT, USER_AGENT, fault, read, read_whole, trust};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use caxton_core::tool::Auth;
use caxton_engine::port::Http;
use caxton_engine::port::http::{HeaderValue, HttpAnswer, HttpRequest, Trust};
use caxton_engine::port::secrets::Secret;
use caxton_engine::port::tool::{ANSWER_BYTES_MAX, ToolFault, ToolFaultKind, ToolTarget};
use futures::stream::BoxStream;
use http::{HeaderName, HeaderValue as Value};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ErrorData, ServerJsonRpcMessage};
use rmcp::transport::common::client_side_sse::SseRetryPolicy;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
    StreamableHttpPostResponse,
};
use sse_stream::Sse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Redirects followed, all within one origin.
const REDIRECTS_MAX: u32 = 3;
/// Bytes of a failure's body that are looked at.
const FAILURE_BYTES_MAX: usize = 4 << 10;
/// Times that a stream which broke off is taken up again.
const RESUMES_MAX: usize = 3;
const SESSION_ID: &str = "mcp-session-id";
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// A client for one tool.
#[derive(Clone, Debug)]
pub struct Client {
    http: Arc<dyn Http>,
    trust: Trust,
    auth: Auth,
    secret: Option<Secret>,
    health: Arc<Health>,
}

/// What the library is told of a fault; what it was, the connection's health has.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(ToolFault);

type Fault = StreamableHttpError<Failed>;

impl Client {
    pub fn new(
        http: &Arc<dyn Http>,
        target: &ToolTarget,
        auth: &Auth,
        health: &Arc<Health>,
    ) -> Self {
        Self {
            http: Arc::clone(http),
            trust: trust(target),
            auth: auth.clone(),
            secret: target.secret.clone(),
            health: Arc::clone(health),
        }
    }

    /// How the library is to use it.
    pub fn config(url: &str) -> StreamableHttpClientTransportConfig {
        let mut config = StreamableHttpClientTransportConfig::with_uri(url);
        config.retry_config = Arc::new(Resume);
        config.max_sse_event_size = ANSWER_BYTES_MAX;
        config.max_json_response_size = ANSWER_BYTES_MAX;
        config.allow_stateless = true;
        config
    }

    fn failed(&self, fault: ToolFault) -> Fault {
        self.health.note(fault.clone());
        StreamableHttpError::Client(Failed(fault))
    }

    fn malformed(&self, text: String) -> Fault {
        self.failed(ToolFault::new(ToolFaultKind::Malformed, text))
    }

    async fn send(
        &self,
        method: &'static str,
        url: &str,
        headers: Vec<(String, HeaderValue)>,
        body: Bytes,
    ) -> Result<HttpAnswer, Fault> {
        let sent = self.go(method, url, headers, body).await;
        sent.map_err(|fault| self.failed(fault))
    }

    async fn go(
        &self,
        method: &'static str,
        url: &str,
        mut headers: Vec<(String, HeaderValue)>,
        body: Bytes,
    ) -> Result<HttpAnswer, ToolFault> {
        let malformed = |_| ToolFault::new(ToolFaultKind::Malformed, "the address is no URL");
        let mut url = Url::parse(url).map_err(malformed)?;
        self.sign(&mut url, &mut headers);
        for _ in 0..=REDIRECTS_MAX {
            let request = HttpRequest {
                method,
                url: url.as_str().to_owned(),
                headers: headers.clone(),
                body: body.clone(),
                trust: self.trust.clone(),
                connect_timeout: CONNECT_TIMEOUT,
                redirects_max: 0,
            };
            let answer = self.http.send(request).await.map_err(|it| fault(&it))?;
            let to = answer
                .header("location")
                .filter(|_| matches!(answer.status, 301 | 302 | 307 | 308))
                .and_then(|to| url.join(to).ok());
            match to {
                None => return Ok(answer),
                Some(to) if to.origin() == url.origin() => url = to,
                Some(_) => break,
            }
        }
        let text = "the MCP server sends on to another place: register that one instead";
        Err(ToolFault::new(ToolFaultKind::Unavailable, text))
    }

    fn sign(&self, url: &mut Url, headers: &mut Vec<(String, HeaderValue)>) {
        let Some(secret) = &self.secret else { return };
        let authorization = |value| ("authorization".to_owned(), value);
        match &self.auth {
            Auth::None => {}
            Auth::Bearer => {
                headers.push(authorization(HeaderValue::Secret(
                    "Bearer ",
                    secret.clone(),
                )));
            }
            Auth::Basic => {
                let encoded = Secret::new(&BASE64_STANDARD.encode(secret.reveal()));
                headers.push(authorization(HeaderValue::Secret("Basic ", encoded)));
            }
            Auth::Header(name) => {
                let value = HeaderValue::Secret("", secret.clone());
                headers.push((name.to_ascii_lowercase(), value));
            }
            Auth::Query(name) => {
                url.query_pairs_mut().append_pair(name, secret.reveal());
            }
        }
    }

    fn headers(
        session: Option<&str>,
        custom: HashMap<HeaderName, Value>,
    ) -> Vec<(String, HeaderValue)> {
        let plain =
            |name: &str, value: &str| (name.to_owned(), HeaderValue::Plain(value.to_owned()));
        let mut headers = vec![
            plain("accept", "application/json, text/event-stream"),
            plain("accept-encoding", "identity"),
            plain("user-agent", USER_AGENT),
        ];
        headers.extend(session.map(|it| plain(SESSION_ID, it)));
        for (name, value) in &custom {
            if let Ok(value) = value.to_str() {
                headers.push(plain(name.as_str(), value));
            }
        }
        headers
    }

    /// The events of an answer, each within the bound.
    fn events(
        &self,
        answer: HttpAnswer,
        bytes_max: usize,
    ) -> BoxStream<'static, Result<Sse, SseError>> {
        let health = Arc::clone(&self.health);
        sse::events(answer.body, bytes_max, move || {
            let text = format!("the MCP server sent an event of more than {bytes_max} bytes");
            health.fail(ToolFault::new(ToolFaultKind::TooLarge, text));
        })
    }

    /// What an answer of 3xx, 4xx or 5xx to a message means.
    async fn refusal(
        &self,
        mut answer: HttpAnswer,
        message: &ClientJsonRpcMessage,
        has_session: bool,
    ) -> Result<StreamableHttpPostResponse, Fault> {
        let status = answer.status;
        if status == 404 && has_session {
            return Err(StreamableHttpError::SessionExpired);
        }
        if matches!(status, 401 | 403) {
            let text = format!("the MCP server refused the credential (HTTP {status})");
            return Err(self.failed(ToolFault::new(ToolFaultKind::Unavailable, text)));
        }
        let session = answer.header(SESSION_ID).map(str::to_owned);
        let bytes_max = FAILURE_BYTES_MAX;
        let body = read(&mut answer, bytes_max).await;
        let body = body.map(|it| it.bytes).unwrap_or_default();
        let said: Option<ServerJsonRpcMessage> = serde_json::from_slice(&body).ok();
        // A server of an older revision does not know how newer ones begin, and may say so in any way.
        if let (400..500, false, ClientJsonRpcMessage::Request(request)) =
            (status, has_session, message)
            && matches!(request.request, ClientRequest::DiscoverRequest(_))
        {
            let error = match said {
                Some(ServerJsonRpcMessage::Error(error)) => error.error,
                _ => ErrorData::invalid_request(format!("HTTP {status}"), None),
            };
            let error = ServerJsonRpcMessage::error(error, Some(request.id.clone()));
            return Ok(StreamableHttpPostResponse::Json(error, None));
        }
        if let Some(error @ ServerJsonRpcMessage::Error(_)) = said {
            return Ok(StreamableHttpPostResponse::Json(error, session));
        }
        let text = format!("the MCP server answered HTTP {status}");
        Err(self.failed(ToolFault::new(ToolFaultKind::Unavailable, text)))
    }
}

impl StreamableHttpClient for Client {
    type Error = Failed;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth: Option<String>,
        custom: HashMap<HeaderName, Value>,
    ) -> Result<StreamableHttpPostResponse, Fault> {
        let mut headers = Self::headers(session_id.as_deref(), custom);
        let json = HeaderValue::Plain(JSON.to_owned());
        headers.push(("content-type".to_owned(), json));
        let body = serde_json::to_vec(&message)?;
        let mut answer = self.send("POST", &uri, headers, body.into()).await?;
        if !(200..300).contains(&answer.status) {
            return self.refusal(answer, &message, session_id.is_some()).await;
        }
        let needs_answer = matches!(message, ClientJsonRpcMessage::Request(_));
        if matches!(answer.status, 202 | 204) || !needs_answer {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        let session = answer.header(SESSION_ID).map(str::to_owned);
        let media = answer.header("content-type").unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case(EVENTS) {
            let events = self.events(answer, ANSWER_BYTES_MAX);
            return Ok(StreamableHttpPostResponse::Sse(events, session));
        }
        if !media.eq_ignore_ascii_case(JSON) {
            let text = format!(
                "the MCP server answered with `{}`, neither JSON nor events",
                caxton_core::error::shown(media)
            );
            return Err(self.malformed(text));
        }
        let body = read_whole(&mut answer, ANSWER_BYTES_MAX).await;
        let body = body.map_err(|fault| self.failed(fault))?;
        let answer = serde_json::from_slice(&body).map_err(|error| {
            self.malformed(format!("the MCP server's answer is no message: {error}"))
        })?;
        Ok(StreamableHttpPostResponse::Json(
            understood(discovers(&message), answer),
            session,
        ))
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _auth: Option<String>,
        custom: HashMap<HeaderName, Value>,
    ) -> Result<(), Fault> {
        let headers = Self::headers(Some(&session_id), custom);
        // That it is over is for the server's good alone: what it says to it is nothing to us.
        self.send("DELETE", &uri, headers, Bytes::new()).await?;
        Ok(())
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth: Option<String>,
        custom: HashMap<HeaderName, Value>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Fault> {
        let mut headers = Self::headers(session_id.as_deref(), custom);
        if let Some(last) = last_event_id {
            headers.push(("last-event-id".to_owned(), HeaderValue::Plain(last)));
        }
        let answer = self.send("GET", &uri, headers, Bytes::new()).await?;
        let media = answer.header("content-type").unwrap_or_default();
        let is_events = media.to_ascii_lowercase().starts_with(EVENTS);
        match answer.status {
            405 => Err(StreamableHttpError::ServerDoesNotSupportSse),
            200..300 if is_events => Ok(self.events(answer, ANSWER_BYTES_MAX)),
            200..300 => Err(StreamableHttpError::ServerDoesNotSupportSse),
            status => {
                let text = format!("the MCP server answered HTTP {status}");
                Err(self.failed(ToolFault::new(ToolFaultKind::Unavailable, text)))
            }
        }
    }
}

/// A stream that broke off is taken up again a few times, a little later each time.
#[derive(Debug)]
struct Resume;

impl SseRetryPolicy for Resume {
    fn retry(&self, times: usize) -> Option<Duration> {
        let wait = Duration::from_millis(200 << times.min(8));
        (times < RESUMES_MAX).then_some(wait)
    }
}
