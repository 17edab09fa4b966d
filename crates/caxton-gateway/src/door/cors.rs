//! Which pages of other sites may speak to this server (CORS): those of configured origins, none by
//! default.
//!
//! A page shows its key itself, there are no cookies; so credentials are never allowed, and `*` lets
//! pages in without letting them act for whoever looks at them.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use caxton_api::ApiError;
use caxton_api::context::{
    API_KEY, IDEMPOTENCY_KEY, LAST_EVENT_ID, REQUEST_ID, TENANT, TRACEPARENT,
};
use caxton_core::Code;
use caxton_core::error::shown;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::refuse;

/// How long a browser may remember the answer to a preflight; browsers cap it at two hours or less.
const PREFLIGHT_KEPT: Duration = Duration::from_secs(600);

/// What the clients of the compatible doors send from a page besides: without these their first request
/// ends in the browser.
const OF_CLIENTS: [&str; 19] = [
    "anthropic-beta",
    "anthropic-dangerous-direct-browser-access",
    "anthropic-version",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "x-stainless-arch",
    "x-stainless-async",
    "x-stainless-custom-poll-interval",
    "x-stainless-helper",
    "x-stainless-helper-method",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-poll-helper",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-timeout",
];

/// Every origin.
const ANY: &str = "*";

/// The origins that are allowed. Cheap to clone only in the sense that it is small.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cors {
    origins: Vec<HeaderValue>,
    any: bool,
}

/// Whether text is an origin (RFC 6454, 6.2) as browsers send it, or `*`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(origin: &str) -> Result<(), String> {
    if origin == ANY {
        return Ok(());
    }
    let wrong = || {
        let origin = shown(origin);
        format!("`{origin}` is no origin such as https://app.example.org")
    };
    let uri: Uri = origin.parse().map_err(|_| wrong())?;
    let parts = (uri.scheme_str(), uri.authority());
    let (Some(scheme @ ("http" | "https")), Some(authority)) = parts else {
        return Err(wrong());
    };
    // Browsers write it so: lower case, no user, no path, not even a slash.
    match origin == format!("{scheme}://{authority}").to_ascii_lowercase()
        && !authority.as_str().contains('@')
    {
        true => Ok(()),
        false => Err(wrong()),
    }
}

impl Cors {
    /// Of origins that were found to be some; others are left out.
    pub(crate) fn new(origins: &[String]) -> Self {
        let named = origins.iter().filter(|it| *it != ANY && check(it).is_ok());
        Self {
            origins: named
                .filter_map(|it| HeaderValue::from_str(it).ok())
                .collect(),
            any: origins.iter().any(|it| it == ANY),
        }
    }

    /// The layer that answers preflights and marks answers; `None` where no other site is allowed.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        let origins = match (self.any, self.origins.is_empty()) {
            (true, _) => AllowOrigin::any(),
            (false, false) => AllowOrigin::list(self.origins.clone()),
            (false, true) => return None,
        };
        let names = |names: &[&'static str]| -> Vec<HeaderName> {
            names.iter().map(|it| HeaderName::from_static(it)).collect()
        };
        let mut allowed = names(&[
            API_KEY.as_str(),
            TENANT.as_str(),
            IDEMPOTENCY_KEY.as_str(),
            LAST_EVENT_ID.as_str(),
            REQUEST_ID.as_str(),
            TRACEPARENT.as_str(),
            "tracestate",
            "x-request-timeout",
            "mcp-protocol-version",
            "mcp-method",
            "mcp-name",
        ]);
        allowed.extend([header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT]);
        allowed.extend(names(&OF_CLIENTS));
        let mut exposed = names(&[
            REQUEST_ID.as_str(),
            TRACEPARENT.as_str(),
            "ratelimit",
            "ratelimit-policy",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
        ]);
        exposed.extend([
            header::RETRY_AFTER,
            header::LOCATION,
            header::WWW_AUTHENTICATE,
        ]);
        let methods = [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ];
        let layer = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods(methods)
            .allow_headers(allowed)
            .expose_headers(exposed)
            .max_age(PREFLIGHT_KEPT);
        Some(layer)
    }

    /// Whether the origin of a request is a configured one.
    pub(crate) fn names(&self, headers: &HeaderMap) -> bool {
        let origin = headers.get(header::ORIGIN);
        origin.is_some_and(|origin| self.any || self.origins.contains(origin))
    }

    /// Whether a page may open a WebSocket: those are not bound by CORS, so it is looked at here.
    pub(crate) fn allows(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return true;
        };
        let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
        let same = host.is_some_and(|host| {
            let origin = origin.as_bytes();
            let rest = [&b"https://"[..], b"http://"];
            rest.iter().any(|it| origin.strip_prefix(*it) == Some(host))
        });
        same || self.names(headers)
    }
}

/// Refuses upgrades that pages of other sites ask for.
pub(crate) async fn guard_sockets(
    State(cors): State<Cors>,
    request: Request,
    next: Next,
) -> Response {
    if cors.allows(request.headers()) {
        return next.run(request).await;
    }
    let detail = "pages of this origin may not open sockets here";
    refuse(&request, ApiError::new(Code::OriginRefused, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for good in [
            "https://a.example.org",
            "http://localhost:3000",
            "http://[::1]:1",
            "*",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "null",
            "a.example.org",
            "https://a.example.org/",
            "https://A.example.org",
            "https://*.example.org/x",
            "https://u@a",
            "ftp://a",
            "https://",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sockets_are_for_the_same_site_and_the_configured() {
        let cors = Cors::new(&["https://app.example.org".to_owned()]);
        let check = |origin: &str, host: &'static str, expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if !origin.is_empty() {
                headers.insert(
                    header::ORIGIN,
                    origin.parse().unwrap_or_else(|_| unreachable!()),
                );
            }
            assert_eq!(cors.allows(&headers), expected, "{origin}");
        };
        check("", "a:1", true);
        check("http://a:1", "a:1", true);
        check("https://a:1", "a:1", true);
        check("https://app.example.org", "a:1", true);
        check("https://evil.example.org", "a:1", false);
        check("https://app.example.org.evil.org", "a:1", false);
        check("null", "a:1", false);
        check("http://a:2", "a:1", false);
    }
}
