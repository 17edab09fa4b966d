//! Which pages may come in by the door of the Model Context Protocol. A page of another site must not
//! reach a server on its reader's machine by giving its own name that machine's address (DNS rebinding,
//! which the protocol's transport asks servers to refuse): then `Origin` and `Host` agree, and only
//! the name is wrong.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use caxton_api::ApiError;
use caxton_core::Code;
use http::{HeaderMap, HeaderValue, header};
use std::net::IpAddr;

use crate::door::cors::Cors;
use crate::door::refuse;

/// The origins that are allowed besides the server's own.
#[derive(Debug, Clone)]
pub(super) struct Origins(Cors);

impl Origins {
    pub(super) fn new(configured: &[String]) -> Self {
        Self(Cors::new(configured))
    }

    /// Whether a page may; a client that is no browser sends no origin, and has its key.
    fn allows(&self, headers: &HeaderMap) -> bool {
        if headers.get(header::ORIGIN).is_none() || self.0.names(headers) {
            return true;
        }
        let host = headers.get(header::HOST).and_then(|it| it.to_str().ok());
        self.0.allows(headers) && host.is_some_and(is_nobodys_name)
    }
}

/// Whether a host is an address or `localhost`: what no stranger's name server can give out.
fn is_nobodys_name(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost") || bare.unwrap_or(host).parse::<IpAddr>().is_ok()
}

/// Refuses pages of other sites.
pub(super) async fn guard(
    State(origins): State<Origins>,
    request: Request,
    next: Next,
) -> Response {
    if origins.allows(request.headers()) {
        return next.run(request).await;
    }
    let origin = request.headers().get(header::ORIGIN);
    let origin = origin.map_or("?", |it: &HeaderValue| it.to_str().unwrap_or("?"));
    let origin = caxton_core::error::shown(origin);
    let detail = format!("pages of {origin} may not come in here; cors.origins lists who may");
    refuse(&request, ApiError::new(Code::OriginRefused, detail))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pages_of_strangers_stay_out_whatever_their_name_resolves_to() {
        let origins = Origins::new(&["https://app.example.org".to_owned()]);
        let check = |origin: &str, host: &str, expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if !origin.is_empty() {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(origins.allows(&headers), expected, "{origin} {host}");
        };
        check("", "127.0.0.1:7070", true);
        check("", "caxton.example.org", true);
        check("http://127.0.0.1:7070", "127.0.0.1:7070", true);
        check("http://localhost:7070", "localhost:7070", true);
        check("http://[::1]:7070", "[::1]:7070", true);
        check("https://app.example.org", "caxton.example.org", true);
        // Rebinding: the page's own name, resolved to this machine.
        check("http://evil.example:7070", "evil.example:7070", false);
        check(
            "http://localhost.evil.example",
            "localhost.evil.example",
            false,
        );
        check("http://evil.example", "127.0.0.1:7070", false);
        check("null", "127.0.0.1:7070", false);
    }
}
