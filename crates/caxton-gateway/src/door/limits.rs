//! Rate limits: taken once somebody is known, before the request's body is read. What is left stands in
//! the answer's headers; little left slows the request down; nothing left refuses it.
//!
//! Headers: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers), and the
//! `x-ratelimit-*` that clients of other services know.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use bytes::BytesMut;
use caxton_api::{ApiError, CallContext, OPERATIONS};
use caxton_engine::limits::RateState;
use foldhash::fast::RandomState;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::auth::Caller;
use crate::api::Api;

/// The operations of a route (REST's template, gRPC's path), by HTTP method.
type Methods = Vec<(String, &'static str)>;

/// Asked at each request by names that are looked for among a few known ones: it need not be guarded
/// against names that were made to collide.
static ROUTES: LazyLock<HashMap<String, Methods, RandomState>> = LazyLock::new(|| {
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
    let mut routes = HashMap::<String, Methods, RandomState>::default();
    for (verb, path, method) in rest.chain(grpc).chain(compatible).chain([mcp]) {
        routes.entry(path).or_default().push((verb, method));
    }
    routes
});

/// The names that requests are counted under and that rates may be set for, those of the compatible
/// doors and of MCP included; sorted.
pub fn operations() -> BTreeSet<&'static str> {
    let methods = ROUTES.values().flatten();
    methods.map(|(_, method)| *method).collect()
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
    let mut digits = [(); 4].map(|()| itoa::Buffer::new());
    let [count, left, reset, seconds] = {
        let [count, left, reset_digits, seconds] = &mut digits;
        [
            count.format(rate.count),
            left.format(decision.remaining),
            reset_digits.format(reset),
            seconds.format(rate.seconds),
        ]
    };
    headers.reserve(HEADERS_ADDED);
    // All in one text, which the values share.
    let mut text = BytesMut::with_capacity(128);
    let mut put = |header: &HeaderName, changes: bool, pieces: &[&str]| {
        for piece in pieces {
            text.extend_from_slice(piece.as_bytes());
        }
        if let Ok(mut value) = HeaderValue::from_maybe_shared(text.split().freeze()) {
            // HTTP/2 need not keep for the next answer what will be another number there.
            value.set_sensitive(changes);
            headers.insert(header, value);
        }
    };
    put(&LIMIT, false, &[count]);
    put(&REMAINING, true, &[left]);
    put(&RESET, false, &[reset]);
    let policy = ["\"", name, "\";q=", count, ";w=", seconds];
    put(&RATE_POLICY, false, &policy);
    put(&RATE, true, &["\"", name, "\";r=", left, ";t=", reset]);
    if decision.warned && decision.allowed {
        let warning = ["little is left of the ", name, "'s limit"];
        put(&WARNING, false, &warning);
    }
}

static LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
static RATE_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static RATE: HeaderName = HeaderName::from_static("ratelimit");
static WARNING: HeaderName = HeaderName::from_static("x-ratelimit-warning");
