//! Rate limits: taken once somebody is known, before the request's body is read. What is left stands in
//! the answer's headers; little left slows the request down; nothing left refuses it.
//!
//! Headers: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers), and the
//! `x-ratelimit-*` that clients of other services know.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use bytes::BytesMut;
use caxton_api::{ApiError, CallContext, OPERATIONS};
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

/// Whether requests are counted under a name.
pub(crate) fn is_operation(name: &str) -> bool {
    let mut methods = ROUTES.values().flatten();
    methods.any(|(_, method)| *method == name)
}

/// What is no operation of the contract is counted together.
pub(crate) const OTHER: &str = "other";

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

/// Takes one of the limits for what a standing connection asks for. Errors: `CX-4030`.
pub(crate) async fn take_one(api: &Api, call: &CallContext) -> Result<(), ApiError> {
    let Some(caller) = call.extensions.get::<Caller>() else {
        return Ok(());
    };
    let state = take(api, caller, call.method).await?;
    let refusal = state.as_ref().and_then(RateState::refusal);
    refusal.map_or(Ok(()), |error| Err(error.into()))
}

/// Where the caller's tightest quota stands, for an answer that refuses because of a limit.
pub(crate) async fn quota(api: &Api, caller: &Caller) -> Option<RateState> {
    let app = api.app();
    let found = app.quota_tightest(caller.principal(), &caller.tenant).await;
    // The answer stands without it.
    found.ok().flatten()
}

/// Of a limit with less than this part left a gRPC client is told too. Metadata of every answer would
/// cost both sides more than all the rest of a limit does, and its clients do not look there.
const TOLD_BELOW: u64 = 5;

/// Whether little is left, or nothing.
pub(crate) fn is_tight(state: &RateState) -> bool {
    let (burst, decision) = (state.rate.burst, &state.decision);
    !decision.allowed || decision.warned || decision.remaining < burst / TOLD_BELOW
}

/// Headers that [`tell`] adds, and those of the envelope after it.
const HEADERS_ADDED: usize = 10;

/// Says in an answer's headers where the tightest limit stands.
pub(crate) fn tell(headers: &mut HeaderMap, state: &RateState) {
    let (name, rate, decision) = (state.name, &state.rate, &state.decision);
    let reset = decision.wait.as_secs() + u64::from(decision.wait.subsec_nanos() > 0);
    headers.reserve(HEADERS_ADDED);
    // All in one text, which the values share.
    let mut text = BytesMut::with_capacity(128);
    let mut digits = itoa::Buffer::new();
    let mut put = |header: &HeaderName, pieces: &[Piece]| {
        for piece in pieces {
            match piece {
                Piece::Text(it) => text.extend_from_slice(it.as_bytes()),
                Piece::Number(it) => text.extend_from_slice(digits.format(*it).as_bytes()),
            }
        }
        if let Ok(mut value) = HeaderValue::from_maybe_shared(text.split().freeze()) {
            // HTTP/2 need not keep for the next answer what will be another number there.
            value.set_sensitive(*header == REMAINING || *header == RATE);
            headers.insert(header.clone(), value);
        }
    };
    let (count, left) = (Piece::Number(rate.count), Piece::Number(decision.remaining));
    let (name, reset) = (Piece::Text(name), Piece::Number(reset));
    put(&LIMIT, &[count]);
    put(&REMAINING, &[left]);
    put(&RESET, &[reset]);
    let seconds = Piece::Number(rate.seconds);
    let (quote, quoted) = (Piece::Text("\""), Piece::Text("\";"));
    let (q, w) = (Piece::Text("q="), Piece::Text(";w="));
    put(&RATE_POLICY, &[quote, name, quoted, q, count, w, seconds]);
    let (r, t) = (Piece::Text("r="), Piece::Text(";t="));
    put(&RATE, &[quote, name, quoted, r, left, t, reset]);
    if decision.warned && decision.allowed {
        let (little, limit) = ("little is left of the ", "'s limit");
        put(&WARNING, &[Piece::Text(little), name, Piece::Text(limit)]);
    }
}

static LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
static RATE_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static RATE: HeaderName = HeaderName::from_static("ratelimit");
static WARNING: HeaderName = HeaderName::from_static("x-ratelimit-warning");

/// A part of a header's value.
#[derive(Clone, Copy)]
enum Piece {
    Text(&'static str),
    Number(u64),
}
