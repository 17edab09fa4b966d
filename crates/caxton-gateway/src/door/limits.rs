//! Rate limits: taken once somebody is known, before the request's body is read. What is left stands in
//! the answer's headers; little left slows the request down; nothing left refuses it.
//!
//! Headers: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers), and the
//! `x-ratelimit-*` that clients of other services know.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use caxton_api::OPERATIONS;
use caxton_engine::limits::RateState;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::auth::Caller;
use super::refuse;
use crate::api::Api;

/// The operation behind a route: by method and path of REST, by path of gRPC.
static ROUTES: LazyLock<HashMap<(String, String), &'static str>> = LazyLock::new(|| {
    let rest = OPERATIONS
        .iter()
        .map(|it| ((it.verb.to_uppercase(), it.path.to_owned()), it.method));
    let grpc = OPERATIONS
        .iter()
        .map(|it| (("POST".to_owned(), format!("/{}", it.method)), it.method));
    let compatible = crate::compat::operations().into_iter();
    let compatible = compatible.map(|(it, path)| ((it.verb.to_uppercase(), path), it.method));
    let it = crate::mcp::OPERATION;
    let mcp = ((it.verb.to_uppercase(), it.path.to_owned()), it.method);
    rest.chain(grpc).chain(compatible).chain([mcp]).collect()
});

/// What is no operation of the contract is counted together.
const OTHER: &str = "other";

/// The full name of the operation that a request asks for.
pub(crate) fn operation(request: &Request) -> &'static str {
    let path = request.uri().path();
    let route = request.extensions().get::<MatchedPath>();
    let find = |path: &str| {
        ROUTES
            .get(&(request.method().as_str().to_owned(), path.to_owned()))
            .copied()
    };
    let matched = route.and_then(|route| find(route.as_str()));
    matched.or_else(|| find(path)).unwrap_or(OTHER)
}

/// Holds a request to its limits.
pub(crate) async fn hold(State(api): State<Api>, request: Request, next: Next) -> Response {
    let Some(caller) = request.extensions().get::<Caller>().cloned() else {
        return next.run(request).await;
    };
    let operation = operation(&request);
    let taken = api
        .app()
        .rate_take(caller.principal(), &caller.tenant, operation)
        .await;
    match taken {
        Ok(None) => next.run(request).await,
        Ok(Some(state)) => {
            if !state.decision.slow.is_zero() {
                let clock = Arc::clone(api.clock());
                clock
                    .sleep_until(clock.now().plus(state.decision.slow))
                    .await;
            }
            let mut response = next.run(request).await;
            tell(response.headers_mut(), &state);
            response
        }
        Err(error) => refuse(&request, error.into()),
    }
}

fn tell(headers: &mut HeaderMap, state: &RateState) {
    let (rate, decision) = (&state.rate, &state.decision);
    let reset = decision.wait.as_secs() + u64::from(decision.wait.subsec_nanos() > 0);
    let mut put = |name: &'static str, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    let name = state.name;
    put(
        "ratelimit-policy",
        format!("\"{name}\";q={};w={}", rate.count, rate.seconds),
    );
    put(
        "ratelimit",
        format!("\"{name}\";r={};t={reset}", decision.remaining),
    );
    put("x-ratelimit-limit", rate.count.to_string());
    put("x-ratelimit-remaining", decision.remaining.to_string());
    put("x-ratelimit-reset", reset.to_string());
    if decision.warned {
        put(
            "x-ratelimit-warning",
            format!("little is left of the {name}'s limit"),
        );
    }
}
