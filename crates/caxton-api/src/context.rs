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
        let given = Given::of(headers);
        let own = |text: Option<&str>| text.map(str::to_owned);
        let traceparent = given.traceparent.text(&TRACEPARENT).ok().flatten();
        // Only repeated, so an odd one is dropped and not an error.
        let request_id = given.request_id.text(&REQUEST_ID).ok().flatten();
        let credential = found(&given.authorization, &given.api_key)?;
        Ok(Self {
            method,
            uri: uri.cloned(),
            credential: credential.map(|(_, credential)| credential),
            tenant: own(given.tenant.text(&TENANT)?),
            trace: traceparent.and_then(TraceContext::parse),
            request_id: request_id.and_then(|_| given.request_id.first.cloned()),
            idempotency_key: own(given.idempotency_key.text(&IDEMPOTENCY_KEY)?),
            last_event_id: own(given.last_event_id.text(&LAST_EVENT_ID)?),
            timeout: given
                .grpc_timeout
                .first
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
    Value::of(headers, &TENANT).text(&TENANT)
}

/// The text of the credential, if any: `Authorization: Bearer` first, then [`API_KEY`].
///
/// # Errors
/// `ParameterMalformed` for a header that cannot be read, `Unauthenticated` for an `Authorization` of
/// another scheme than Bearer.
pub fn credential(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let authorization = Value::of(headers, &header::AUTHORIZATION);
    let api_key = Value::of(headers, &API_KEY);
    Ok(found(&authorization, &api_key)?.map(|(text, _)| text))
}

/// The text of the credential, and the same to be kept.
fn found<'h>(
    authorization: &Value<'h>,
    api_key: &Value<'h>,
) -> Result<Option<(&'h str, Credential)>, ApiError> {
    let read = |name: &HeaderName, value: &Value<'h>, bearer: bool| -> Result<_, ApiError> {
        let text = value.text_within(name, CREDENTIAL_BYTES_MAX)?;
        let header = value.first.cloned();
        Ok(text.zip(header.map(|header| Credential { header, bearer })))
    };
    let Some((authorization, credential)) = read(&header::AUTHORIZATION, authorization, true)?
    else {
        return read(&API_KEY, api_key, false);
    };
    let (scheme, key) = authorization.split_once(' ').unwrap_or((authorization, ""));
    let key = key.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() {
        let detail = "the Authorization header is not `Bearer` and a key";
        return Err(ApiError::new(Code::Unauthenticated, detail));
    }
    Ok(Some((key, credential)))
}

/// What stands in the headers that a context is read from. They are gone through once: each search for
/// one of them by its name would take as long as this does for all.
#[derive(Default)]
struct Given<'h> {
    authorization: Value<'h>,
    api_key: Value<'h>,
    tenant: Value<'h>,
    traceparent: Value<'h>,
    request_id: Value<'h>,
    idempotency_key: Value<'h>,
    last_event_id: Value<'h>,
    grpc_timeout: Value<'h>,
}

impl<'h> Given<'h> {
    fn of(headers: &'h HeaderMap) -> Self {
        let mut given = Self::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "authorization" => &mut given.authorization,
                "x-api-key" => &mut given.api_key,
                "caxton-tenant" => &mut given.tenant,
                "traceparent" => &mut given.traceparent,
                "x-request-id" => &mut given.request_id,
                "idempotency-key" => &mut given.idempotency_key,
                "last-event-id" => &mut given.last_event_id,
                "grpc-timeout" => &mut given.grpc_timeout,
                _ => continue,
            };
            place.repeated |= place.first.is_some();
            place.first.get_or_insert(value);
        }
        given
    }
}

/// What a request has under one header's name.
#[derive(Default)]
struct Value<'h> {
    first: Option<&'h HeaderValue>,
    /// There is more than one.
    repeated: bool,
}

impl<'h> Value<'h> {
    fn of(headers: &'h HeaderMap, name: &HeaderName) -> Self {
        let mut values = headers.get_all(name).iter();
        Self {
            first: values.next(),
            repeated: values.next().is_some(),
        }
    }

    /// Its text, without white space around it; an empty one is none.
    fn text(&self, name: &HeaderName) -> Result<Option<&'h str>, ApiError> {
        self.text_within(name, HEADER_BYTES_MAX)
    }

    fn text_within(
        &self,
        name: &HeaderName,
        bytes_max: usize,
    ) -> Result<Option<&'h str>, ApiError> {
        let malformed = |what: &str| {
            ApiError::new(Code::ParameterMalformed, format!("header `{name}` {what}"))
                .with_field(name.as_str(), what)
        };
        let Some(value) = self.first else {
            return Ok(None);
        };
        if self.repeated {
            return Err(malformed("is given more than once"));
        }
        let value = value
            .to_str()
            .map_err(|_| malformed("is not printable ASCII"))?
            .trim_ascii();
        match value.len() {
            0 => Ok(None),
            bytes if bytes <= bytes_max => Ok(Some(value)),
            _ => Err(malformed(&format!("is longer than {bytes_max} bytes"))),
        }
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
    fn every_header_is_read_by_its_name() {
        let names = [
            &header::AUTHORIZATION,
            &API_KEY,
            &TENANT,
            &TRACEPARENT,
            &REQUEST_ID,
            &IDEMPOTENCY_KEY,
            &LAST_EVENT_ID,
            &GRPC_TIMEOUT,
        ];
        let mut map = HeaderMap::new();
        for name in names {
            map.append(name, HeaderValue::from_name(name.clone()));
        }
        map.append(&TENANT, HeaderValue::from_static("another"));
        let given = Given::of(&map);
        let found = [
            &given.authorization,
            &given.api_key,
            &given.tenant,
            &given.traceparent,
            &given.request_id,
            &given.idempotency_key,
            &given.last_event_id,
            &given.grpc_timeout,
        ];
        for (name, value) in names.into_iter().zip(found) {
            let searched = Value::of(&map, name);
            assert_eq!(value.first, searched.first, "{name}");
            assert_eq!(value.repeated, searched.repeated, "{name}");
            assert_eq!(value.repeated, name == TENANT, "{name}");
        }
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
