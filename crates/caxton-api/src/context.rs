//! What comes with a call besides its request: who asks, for which tenant, under which trace.
//!
//! It is read from HTTP headers and gRPC metadata by the same code, so that both doors agree. It is
//! what the caller *says*; the server decides what of it to believe.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use caxton_core::key::without_secrets;
use caxton_core::{Code, TraceContext};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri, header};

use crate::ApiError;

/// The header that names a tenant for a platform key.
pub static TENANT: HeaderName = HeaderName::from_static("caxton-tenant");
/// The header that makes a repeated creation safe.
pub static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that names a request.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The other header a key may come in.
pub static API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The W3C trace context.
pub static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Where an SSE client left off.
pub static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What came of a gRPC call, where it is known before the answer's body.
pub static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// How long a gRPC client will wait.
pub static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Longest header value that is read into a context, in bytes.
pub const HEADER_BYTES_MAX: usize = 512;

/// Longest header with a credential, in bytes: tokens are longer than keys.
pub const CREDENTIAL_BYTES_MAX: usize = 17 << 10;

/// What comes with a call besides its request.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The operation, such as `caxton.v1.CaxtonManagement/SendMessage`.
    pub method: &'static str,
    /// Where it was asked for; absent over gRPC, where the method is the path.
    pub uri: Option<Uri>,
    /// The key, if one was given.
    pub credential: Option<Credential>,
    /// `Caxton-Tenant`, as given.
    pub tenant: Option<String>,
    /// `traceparent`, where it is well-formed.
    pub trace: Option<TraceContext>,
    /// `x-request-id`, where it is fit to be repeated: printable ASCII, not too long.
    pub request_id: Option<HeaderValue>,
    /// `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// `Last-Event-ID`: a stream goes on after this event.
    pub last_event_id: Option<String>,
    /// How long the caller will wait (`grpc-timeout`), from now.
    pub timeout: Option<Duration>,
    /// What the server's own layers put on the HTTP request, such as an authenticated principal.
    pub extensions: Extensions,
}

/// A key as the caller gave it, in its header.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    header: HeaderValue,
    /// A scheme stands before it.
    bearer: bool,
}

impl Credential {
    /// The secret text; for looking it up, never for a log.
    pub fn expose(&self) -> &str {
        // What could not be read so was refused when the context was read.
        let text = self.header.to_str().unwrap_or_default().trim();
        let key = text.split_once(' ').filter(|_| self.bearer);
        key.map_or(text, |(_, key)| key.trim())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credential(…)")
    }
}

impl CallContext {
    /// Reads a context from headers, or from gRPC metadata as headers.
    ///
    /// # Errors
    /// `ParameterMalformed` names a header that cannot be read; `Unauthenticated` for an
    /// `Authorization` of another scheme than Bearer.
    pub fn read(
        method: &'static str,
        uri: Option<&Uri>,
        headers: &HeaderMap,
        extensions: Extensions,
    ) -> Result<Self, ApiError> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let traceparent = text(headers, &TRACEPARENT).ok().flatten();
        // Only repeated, so an odd one is dropped and not an error.
        let request_id = text(headers, &REQUEST_ID).ok().flatten();
        Ok(Self {
            method,
            uri: uri.cloned(),
            credential: found(headers)?.map(|(_, credential)| credential),
            tenant: own(tenant(headers)?),
            trace: traceparent.and_then(TraceContext::parse),
            request_id: request_id.and_then(|_| headers.get(&REQUEST_ID).cloned()),
            idempotency_key: own(text(headers, &IDEMPOTENCY_KEY)?),
            last_event_id: own(text(headers, &LAST_EVENT_ID)?),
            timeout: headers
                .get(&GRPC_TIMEOUT)
                .and_then(|it| grpc_timeout(it.to_str().ok()?)),
            extensions,
        })
    }

    /// The path that was asked for, without its query and without a key's secret.
    pub fn instance(&self) -> Cow<'_, str> {
        match &self.uri {
            Some(uri) => without_secrets(uri.path()),
            None => format!("/{}", self.method).into(),
        }
    }

    /// The trace id of `traceparent`: 32 hex digits.
    pub fn trace_id(&self) -> Option<String> {
        self.trace.as_ref().map(TraceContext::trace_id_hex)
    }

    /// Adds to an error what only the door knows: the path and the trace.
    #[must_use]
    pub fn complete(&self, mut error: ApiError) -> ApiError {
        error.instance.get_or_insert_with(|| self.instance().into());
        if error.trace_id.is_none() {
            error.trace_id = self.trace_id().map(Into::into);
        }
        error
    }
}

/// The tenant that is named, if any: [`TENANT`].
///
/// # Errors
/// `ParameterMalformed`.
pub fn tenant(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    text(headers, &TENANT)
}

/// The text of the credential, if any: `Authorization: Bearer` first, then [`API_KEY`].
///
/// # Errors
/// `ParameterMalformed` for a header that cannot be read, `Unauthenticated` for an `Authorization` of
/// another scheme than Bearer.
pub fn credential(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    Ok(found(headers)?.map(|(text, _)| text))
}

/// The text of the credential, and the same to be kept.
fn found(headers: &HeaderMap) -> Result<Option<(&str, Credential)>, ApiError> {
    let read = |name: &HeaderName| -> Result<_, ApiError> {
        let text = text_within(headers, name, CREDENTIAL_BYTES_MAX)?;
        let credential = headers.get(name).map(|it| Credential {
            header: it.clone(),
            bearer: *name == header::AUTHORIZATION,
        });
        Ok(text.zip(credential))
    };
    let Some((authorization, credential)) = read(&header::AUTHORIZATION)? else {
        return read(&API_KEY);
    };
    let (scheme, key) = authorization.split_once(' ').unwrap_or((authorization, ""));
    let key = key.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() {
        let detail = "the Authorization header is not `Bearer` and a key";
        return Err(ApiError::new(Code::Unauthenticated, detail));
    }
    Ok(Some((key, credential)))
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, ApiError> {
    text_within(headers, name, HEADER_BYTES_MAX)
}

fn text_within<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    bytes_max: usize,
) -> Result<Option<&'h str>, ApiError> {
    let malformed = |what: &str| {
        ApiError::new(Code::ParameterMalformed, format!("header `{name}` {what}"))
            .with_field(name.as_str(), what)
    };
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(malformed("is given more than once"));
    }
    let value = value
        .to_str()
        .map_err(|_| malformed("is not printable ASCII"))?
        .trim();
    match value.len() {
        0 => Ok(None),
        bytes if bytes <= bytes_max => Ok(Some(value)),
        _ => Err(malformed(&format!("is longer than {bytes_max} bytes"))),
    }
}

/// At most eight digits and a unit. Source: gRPC over HTTP/2, "Requests".
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3_600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(headers: &[(&'static str, &'static str)]) -> Result<CallContext, ApiError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        CallContext::read(
            "caxton.v1.Server/GetServerStatus",
            Some(&Uri::from_static("/v1/x?a=b")),
            &map,
            Extensions::new(),
        )
    }

    #[test]
    fn a_key_is_read_from_either_header_and_never_shown() {
        let check = |headers: &[(&'static str, &'static str)], expected: Option<&str>| {
            let context = read(headers).unwrap();
            assert_eq!(
                context.credential.as_ref().map(Credential::expose),
                expected
            );
            assert!(!format!("{context:?}").contains("cx_"));
        };
        check(
            &[("authorization", "Bearer cx_adm_1_a")],
            Some("cx_adm_1_a"),
        );
        check(
            &[("authorization", "bearer  cx_adm_1_a")],
            Some("cx_adm_1_a"),
        );
        check(&[("x-api-key", "cx_key_1_b")], Some("cx_key_1_b"));
        check(
            &[("authorization", "Bearer cx_1"), ("x-api-key", "cx_2")],
            Some("cx_1"),
        );
        check(&[], None);
    }

    #[test]
    fn another_scheme_is_refused() {
        for value in ["Basic YTpi", "Bearer", "Bearer ", "cx_adm_1_a"] {
            let error = read(&[("authorization", value)]).unwrap_err();
            assert_eq!(error.code, Code::Unauthenticated, "{value}");
        }
    }

    #[test]
    fn a_trace_is_taken_only_if_well_formed() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let check = |traceparent: &'static str, expected: Option<&str>| {
            let context = read(&[("traceparent", traceparent)]).unwrap();
            assert_eq!(context.trace_id().as_deref(), expected, "{traceparent}");
        };
        check(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            Some(trace),
        );
        check(
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-new",
            Some(trace),
        );
        check(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-new",
            None,
        );
        check(
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            None,
        );
        check(
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            None,
        );
        check(
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            None,
        );
        check("hello", None);
    }

    #[test]
    fn one_header_twice_is_refused_and_named() {
        let error = read(&[("caxton-tenant", "a"), ("caxton-tenant", "b")]).unwrap_err();
        assert_eq!(error.code, Code::ParameterMalformed);
        assert!(error.detail.contains("`caxton-tenant`"), "{error}");
    }

    #[test]
    fn grpc_timeouts_have_units() {
        let check = |text, expected| assert_eq!(grpc_timeout(text), expected, "{text}");
        check("5S", Some(Duration::from_secs(5)));
        check("100m", Some(Duration::from_millis(100)));
        check("2M", Some(Duration::from_secs(120)));
        check("99999999H", Some(Duration::from_secs(99_999_999 * 3_600)));
        for text in ["", "S", "5", "5s", "-1S", "123456789S", "é"] {
            check(text, None);
        }
    }
}
