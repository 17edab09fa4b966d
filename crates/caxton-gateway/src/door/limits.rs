//! Rate limits: taken once somebody is known, before the request's body is read. What is left stands in
//! the answer's headers; little left slows the request down; nothing left refuses it.
//!
//! Headers: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers), and the
//! `x-ratelimit-*` that clients of other services know.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use caxton_api::{ApiError, OPERATIONS};
use caxton_engine::limits::RateState;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::auth::Caller;
use crate::api::Api;

/// The operations of a route (REST's template, gRPC's path), by HTTP method.
type Methods = Vec<(String, &'static str)>;

static ROUTES: LazyLock<HashMap<String, Methods>> = LazyLock::new(|| {
    let rest = OPERATIONS
        .iter()
        .map(|it| (it.verb.to_uppercase(), it.path.to_owned(), it.method));
    let grpc = OPERATIONS
        .iter()
        .map(|it| ("POST".to_owned(), format!("/{}", it.method), it.method));
    let compatible = crate::compat::operations().into_iter();
    let compatible = compatible.map(|(it, path)| (it.verb.to_uppercase(), path, it.method));
    let it = crate::mcp::OPERATION;
    let mcp = (it.verb.to_uppercase(), it.path.to_owned(), it.method);
    let mut routes = HashMap::<String, Methods>::new();
    for (verb, path, method) in rest.chain(grpc).chain(compatible).chain([mcp]) {
        routes.entry(path).or_default().push((verb, method));
    }
    routes
});

/// What is no operation of the contract is counted together.
const OTHER: &str = "other";

/// The full name of the operation that a request asks for.
pub(crate) fn operation(request: &Request) -> &'static str {
    let verb = request.method().as_str();
    let find = |path: &str| {
        let mut methods = ROUTES.get(path)?.iter();
        methods
            .find(|(it, _)| it == verb)
            .map(|(_, method)| *method)
    };
    let route = request.extensions().get::<MatchedPath>();
    let matched = route.and_then(|route| find(route.as_str()));
    matched
        .or_else(|| find(request.uri().path()))
        .unwrap_or(OTHER)
}

/// Takes one request of the limits it is held to; what the answer is to say of them, a refusal too.
/// Waits where little is left.
pub(crate) async fn take(
    api: &Api,
    caller: &Caller,
    operation: &'static str,
) -> Result<Option<RateState>, ApiError> {
    let app = api.app();
    let taken = app.rate_take(caller.principal(), &caller.tenant, operation);
    let state = taken.await?;
    let slow = state.as_ref().map_or(Duration::ZERO, |it| it.decision.slow);
    if !slow.is_zero() {
        let clock = api.clock();
        clock.sleep_until(clock.now().plus(slow)).await;
    }
    Ok(state)
}

/// Says in an answer's headers where the tightest limit stands.
pub(crate) fn tell(headers: &mut HeaderMap, state: &RateState) {
    let (name, rate, decision) = (state.name, &state.rate, &state.decision);
    let reset = decision.wait.as_secs() + u64::from(decision.wait.subsec_nanos() > 0);
    for (header, number) in [
        ("x-ratelimit-limit", rate.count),
        ("x-ratelimit-remaining", decision.remaining),
        ("x-ratelimit-reset", reset),
    ] {
        headers.insert(HeaderName::from_static(header), number.into());
    }
    let mut put = |header: &'static str, text: String| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(HeaderName::from_static(header), value);
        }
    };
    put(
        "ratelimit-policy",
        format!("\"{name}\";q={};w={}", rate.count, rate.seconds),
    );
    put(
        "ratelimit",
        format!("\"{name}\";r={};t={reset}", decision.remaining),
    );
    if decision.warned && decision.allowed {
        put(
            "x-ratelimit-warning",
            format!("little is left of the {name}'s limit"),
        );
    }
}
