//! The outermost layer: request id, trace, deadline, the limit of requests at one time, counting,
//! and the net under a panic.
//!
//! What it decides it writes into the request's own headers, because those are what both doors'
//! contexts are read from: `traceparent` becomes this server's span of the caller's trace (or of a
//! new one), and `x-request-timeout` becomes gRPC's `grpc-timeout`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use caxton_api::context::{GRPC_TIMEOUT, REQUEST_ID, TRACEPARENT};
use caxton_api::{ApiError, duration};
use caxton_core::{Code, MessageId, TraceContext};
use caxton_engine::port::{Clock, Entropy};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::layer::{Pass, Within};
use super::patience::Patient;
use super::{Shell, is_grpc};
use crate::api::Api;
use crate::compat::error::Family;
use crate::metrics::DoorMetrics;

/// How long the client will wait, as `5s`; gRPC has its own `grpc-timeout`.
static REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout");
/// Longest request id that is kept, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// What a refused client is told to wait where the server has too much to do.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Routes that are answered however much there is to do: who watches the server must see it then.
const ALWAYS: [&str; 8] = [
    "/livez",
    "/livez/{check}",
    "/readyz",
    "/readyz/{check}",
    "/startupz",
    "/health",
    "/ready",
    "/metrics",
];

/// What the layer needs. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Envelope(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Arc<DoorMetrics>,
    places: Semaphore,
    body_timeout: Duration,
    headers_bytes_max: usize,
}

impl Envelope {
    pub(crate) fn new(api: &Api, metrics: &DoorMetrics) -> Self {
        let options = api.options();
        Self(Arc::new(Parts {
            clock: Arc::clone(api.clock()),
            entropy: Arc::clone(api.entropy()),
            metrics: Arc::new(metrics.clone()),
            places: Semaphore::new(options.requests_max),
            body_timeout: options.body_timeout,
            headers_bytes_max: usize::try_from(options.headers_bytes_max).unwrap_or(usize::MAX),
        }))
    }
}

impl Parts {
    /// The client's request id where it is fit to be repeated, else a new one.
    fn request_id(&self, headers: &HeaderMap, random: [u8; 10]) -> HeaderValue {
        let fit = |value: &&HeaderValue| {
            (1..=REQUEST_ID_BYTES_MAX).contains(&value.len())
                && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        if let Some(given) = headers.get(&REQUEST_ID).filter(fit) {
            return given.clone();
        }
        let id = MessageId::from_parts(self.clock.now(), random);
        once(HeaderValue::from_str(id.encode(&mut [0; 36])))
    }

    /// What is random in a request's names: it is asked for once.
    fn random(&self) -> Random {
        let mut bytes = [0; 34];
        self.entropy.fill(&mut bytes);
        let mut random = Random::default();
        let (trace_id, rest) = bytes.split_at(random.trace_id.len());
        let (span_id, request_id) = rest.split_at(random.span_id.len());
        random.trace_id.copy_from_slice(trace_id);
        random.span_id.copy_from_slice(span_id);
        random.request_id.copy_from_slice(request_id);
        random
    }
}

#[derive(Default)]
struct Random {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    request_id: [u8; 10],
}

/// This server's span: of the caller's trace, or of a new one.
fn trace(headers: &HeaderMap, random: &Random) -> TraceContext {
    let (mut trace_id, mut span_id) = (random.trace_id, random.span_id);
    // All zero is no span (W3C Trace Context, 2.2.2.4).
    if span_id == [0; 8] {
        span_id[7] = 1;
    }
    let mut given = headers.get_all(&TRACEPARENT).iter();
    let parsed = match (given.next(), given.next()) {
        (Some(one), None) => one.to_str().ok().and_then(TraceContext::parse),
        _ => None,
    };
    if let Some(caller) = parsed {
        return caller.child(span_id);
    }
    if trace_id == [0; 16] {
        trace_id[15] = 1;
    }
    TraceContext {
        trace_id,
        span_id,
        sampled: false,
    }
}

impl Pass for Envelope {
    /// Wraps every request there is.
    async fn pass(self, mut request: Request, within: Within) -> Response {
        let Self(envelope) = self;
        let route = request.extensions().get::<MatchedPath>().cloned();
        let always = route
            .as_ref()
            .is_some_and(|it| ALWAYS.contains(&it.as_str()));
        let counting = envelope
            .metrics
            .begin(request.method(), route, request.uri());
        let random = envelope.random();
        let request_id = envelope.request_id(request.headers(), random.request_id);
        let trace = trace(request.headers(), &random);
        let traceparent = once(HeaderValue::from_bytes(&trace.to_ascii()));
        let headers = request.headers_mut();
        headers.insert(&REQUEST_ID, request_id.clone());
        headers.insert(&TRACEPARENT, traceparent.clone());
        let span = tracing::info_span!(
            "request",
            method = %request.method(),
            path = %caxton_core::error::shown(request.uri().path()),
            request_id = request_id.to_str().unwrap_or_default(),
            trace_id = %trace.trace_id_hex(),
        );
        let family = Family::of(request.uri().path());
        // Kept for the answer to a panic: the request itself is gone by then.
        let shell = Shell {
            is_grpc: is_grpc(request.headers()),
            uri: request.uri().clone(),
            traceparent: Some(traceparent.clone()),
            request_id: family.and_then(|_| Some(request_id.to_str().ok()?.to_owned())),
        };
        let mut response = answer(&envelope, &shell, request, &within, always)
            .instrument(span)
            .await;
        let headers = response.headers_mut();
        if family == Some(Family::Anthropic) {
            // As its clients know it.
            headers.insert(HeaderName::from_static("request-id"), request_id.clone());
        }
        headers.insert(&REQUEST_ID, request_id);
        // No browser reads what gRPC answers, and metadata that nobody looks for costs both sides more
        // than the operation does: a client has the trace it sent, or finds one by the request's id.
        if !shell.is_grpc {
            headers.insert(&TRACEPARENT, traceparent);
            headers.insert(
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            );
        }
        counting.end(&response);
        response
    }
}

/// Bytes of the path with its query, and of all headers.
fn head_bytes(request: &Request) -> usize {
    let uri = request.uri();
    let path = uri.path().len() + uri.query().map_or(0, str::len);
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len());
    path + headers.sum::<usize>()
}

/// Two readers of a request must not take it for two different hosts' (RFC 9112, 3.2).
fn one_host(request: &Request) -> Result<(), ApiError> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts == 1 || hosts == 0 && request.version() != Version::HTTP_11 {
        return Ok(());
    }
    let detail = format!("the request has {hosts} Host headers; there must be one");
    Err(ApiError::new(Code::ParameterMalformed, detail))
}

async fn answer(
    envelope: &Parts,
    shell: &Shell,
    mut request: Request,
    within: &Within,
    always: bool,
) -> Response {
    let place = envelope.places.try_acquire();
    if place.is_err() && !always {
        let mut error = ApiError::new(
            Code::Overloaded,
            "as many requests as the server takes are being answered",
        );
        error.retry_after = Some(RETRY_AFTER);
        return shell.refuse(error);
    }
    let head = head_bytes(&request);
    if head > envelope.headers_bytes_max {
        let detail = format!(
            "path and headers have {head} bytes; {} is the most",
            envelope.headers_bytes_max
        );
        let error = ApiError::new(Code::HeadTooLarge, detail);
        let error = error.with_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        return shell.refuse(error);
    }
    if let Err(error) = one_host(&request).and_then(|()| read_timeout(request.headers_mut())) {
        return shell.refuse(error);
    }
    // A body that stops coming holds nobody up.
    let timeout = envelope.body_timeout;
    // Nobody has said who he is: he must not hold his place by a byte now and then.
    let whole = request.uri().path().starts_with("/grpc.health.");
    let request = request.map(|body| match body.is_end_stream() {
        true => body,
        false if whole => Body::new(Patient::whole(body, timeout)),
        false => Body::new(Patient::new(body, timeout)),
    });
    match AssertUnwindSafe(within.answer(request))
        .catch_unwind()
        .await
    {
        Ok(response) => response,
        Err(panic) => {
            let what = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            tracing::error!(panic = what, "a request's handler panicked");
            let detail = "the server failed while it answered";
            shell.refuse(ApiError::new(Code::Internal, detail))
        }
    }
}

/// Turns `x-request-timeout` into `grpc-timeout`, unless there is one.
fn read_timeout(headers: &mut HeaderMap) -> Result<(), ApiError> {
    let Some(value) = headers.get(&REQUEST_TIMEOUT) else {
        return Ok(());
    };
    let malformed = |what: String| {
        ApiError::new(
            Code::ParameterMalformed,
            format!("header `{REQUEST_TIMEOUT}`: {what}"),
        )
        .with_field(REQUEST_TIMEOUT.as_str(), what)
    };
    let text = value
        .to_str()
        .map_err(|_| malformed("is not printable ASCII".to_owned()))?;
    let timeout = duration::parse(text).map_err(|error| malformed(error.to_string()))?;
    if !headers.contains_key(&GRPC_TIMEOUT) {
        // A day has 86,400,000 ms: within the eight digits that gRPC allows.
        headers.insert(
            GRPC_TIMEOUT.clone(),
            ascii(format!("{}m", timeout.as_millis())),
        );
    }
    Ok(())
}

/// A value that no other request has: HTTP/2 is told not to keep it for the next one, on either side.
fn once<E>(value: Result<HeaderValue, E>) -> HeaderValue {
    let mut value = value.unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// Text that is known to be printable ASCII as a header's value.
fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}
