//! Probes, in the words of Kubernetes: `/livez`, `/readyz`, `/startupz`, and `/health` and `/ready`
//! for who asks by those names. `?verbose` tells of each component, `?exclude=NAME` leaves one out, and
//! `/readyz/NAME` asks for one alone, as the API server of Kubernetes has it.
//!
//! A probe answers within its time whatever a component does, needs no key, and tells nothing of any
//! tenant. Live is whoever answers at all: a store that fails is no reason to be killed, since
//! reads go on and writes come back by themselves.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use caxton_engine::port::Answer;
use futures::stream::{FuturesOrdered, StreamExt};
use http::{HeaderValue, StatusCode, header};
use tokio::time::timeout;

use crate::api::Api;

/// The probes' routes.
pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/livez/{check}", get(one_live))
        .route("/health", get(live))
        .route("/readyz", get(ready))
        .route("/readyz/{check}", get(one_ready))
        .route("/ready", get(ready))
        .route("/startupz", get(startup))
        .with_state(api)
}

/// How a component is; why, in words anybody may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Well,
    /// Not well, and no reason to send work elsewhere.
    Degraded(&'static str),
    Failed(&'static str),
}

impl Health {
    fn failed_if(failed: bool, why: &'static str) -> Self {
        match failed {
            true => Self::Failed(why),
            false => Self::Well,
        }
    }

    fn degraded_if(degraded: bool, why: &'static str) -> Self {
        match degraded {
            true => Self::Degraded(why),
            false => Self::Well,
        }
    }

    fn is_failed(self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// A component and how it is found out.
struct Check<'a> {
    name: &'static str,
    look: Answer<'a, Health>,
}

/// A component and how it is.
type Found = (&'static str, Health);

/// What a component's look becomes that did not end in time.
const LATE: &str = "does not answer in time";
/// What a task of the server's own is that panicked.
const PANICKED: &str = "it panicked and begins again soon; see the server's log";

fn check<'a>(name: &'static str, look: impl Future<Output = Health> + Send + 'a) -> Check<'a> {
    Check {
        name,
        look: Box::pin(look),
    }
}

/// One that is seen at once.
fn seen(name: &'static str, state: Health) -> Check<'static> {
    check(name, std::future::ready(state))
}

/// Whoever answers is alive.
fn ping() -> Check<'static> {
    seen("ping", Health::Well)
}

/// What must be well for the server to do its work, and what somebody should look after.
fn readiness(api: &Api) -> Vec<Check<'_>> {
    let audit = Health::degraded_if(
        api.app().is_audit_failing(),
        "its last entry could not be written, and what it was about was refused; see the server's log",
    );
    let full = Health::degraded_if(
        api.is_full(),
        "as many operations as the server takes are on their way",
    );
    let stopping = Health::failed_if(api.unready(), "the server is shutting down");
    let mut checks = vec![
        ping(),
        check("store", store(api)),
        seen("audit", audit),
        // A gateway is made of an engine that has started, and that has its agents: until then
        // `starting` answers in its place.
        seen("agents", Health::Well),
    ];
    let standing = api.app().standing().into_iter();
    checks.extend(standing.map(|(name, well)| seen(name, Health::failed_if(!well, PANICKED))));
    let expired = "the server's certificate has expired";
    let tls = api
        .tls()
        .map(|tls| Health::degraded_if(tls.has_expired(), expired));
    checks.extend(tls.map(|state| seen("tls", state)));
    checks.push(seen("operations", full));
    checks.push(seen("accepting", stopping));
    checks
}

async fn store(api: &Api) -> Health {
    match api.app().store_status().await {
        Err(_) => Health::Failed("cannot be read; see the server's log"),
        Ok(status) => Health::failed_if(
            status.failing.is_some(),
            "refuses writes; see `caxton server status`",
        ),
    }
}

/// Looks at all at once, so that those that hang cost one time together.
async fn look(checks: Vec<Check<'_>>, limit: Duration) -> Vec<Found> {
    let looks = checks.into_iter().map(async |check| {
        let found = timeout(limit, check.look).await;
        (check.name, found.unwrap_or(Health::Failed(LATE)))
    });
    looks.collect::<FuturesOrdered<_>>().collect().await
}

async fn live(RawQuery(query): RawQuery) -> Response {
    answer(
        "livez",
        look(vec![ping()], Duration::MAX).await,
        query.as_deref(),
    )
}

async fn ready(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let found = look(readiness(&api), api.options().probe_timeout).await;
    answer("readyz", found, query.as_deref())
}

async fn startup(RawQuery(query): RawQuery) -> Response {
    let checks = ["ping", "engine", "agents"].map(|name| (name, Health::Well));
    answer("startupz", checks.into(), query.as_deref())
}

async fn one_live(path: Path<String>, query: RawQuery) -> Response {
    one("livez", vec![ping()], Duration::MAX, path, query).await
}

async fn one_ready(State(api): State<Api>, path: Path<String>, query: RawQuery) -> Response {
    let limit = api.options().probe_timeout;
    one("readyz", readiness(&api), limit, path, query).await
}

async fn one(
    probe: &str,
    mut checks: Vec<Check<'_>>,
    limit: Duration,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    checks.retain(|check| check.name == name);
    if checks.is_empty() {
        let words = "there is no such check\n".to_owned();
        return written(StatusCode::NOT_FOUND, words);
    }
    answer(probe, look(checks, limit).await, query.as_deref())
}

/// Whether the server can do its work now.
pub(crate) async fn is_ready(api: &Api) -> bool {
    let found = look(readiness(api), api.options().probe_timeout).await;
    !found.iter().any(|(_, state)| state.is_failed())
}

/// The answer of a probe to what was found.
pub(crate) fn answer(probe: &str, mut found: Vec<Found>, query: Option<&str>) -> Response {
    let query = query.unwrap_or_default();
    let pairs = || {
        query
            .split('&')
            .map(|it| it.split_once('=').unwrap_or((it, "")))
    };
    let verbose = pairs().any(|(name, _)| name == "verbose");
    found.retain(|(check, _)| !pairs().any(|it| it == ("exclude", check)));
    let good = !found.iter().any(|(_, state)| state.is_failed());
    let text = match good && !verbose {
        true => "ok\n".to_owned(),
        false => told(probe, &found, good),
    };
    let status = match good {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    written(status, text)
}

fn written(status: StatusCode, text: String) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, text).into_response()
}

fn told(probe: &str, found: &[Found], good: bool) -> String {
    let mut text = String::new();
    for (component, state) in found {
        let line = match state {
            Health::Well => format!("[+]{component} ok\n"),
            Health::Degraded(why) => format!("[!]{component} degraded: {why}\n"),
            Health::Failed(why) => format!("[-]{component} failed: {why}\n"),
        };
        text.push_str(&line);
    }
    text.push_str(&format!(
        "{probe} check {}\n",
        if good { "passed" } else { "failed" }
    ));
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn what_is_degraded_is_told_and_does_not_fail_the_probe() {
        let told = async |state| {
            let found = vec![("ping", Health::Well), ("tls", state)];
            let answer = answer("readyz", found, Some("verbose"));
            let status = answer.status().as_u16();
            let body = axum::body::to_bytes(answer.into_body(), 1_000).await;
            (status, String::from_utf8(body.unwrap().to_vec()).unwrap())
        };
        let (status, text) = told(Health::Degraded("it has expired")).await;
        let expected = "[+]ping ok\n[!]tls degraded: it has expired\nreadyz check passed\n";
        assert_eq!((status, text.as_str()), (200, expected));
        let (status, text) = told(Health::Failed("it is gone")).await;
        let expected = "[+]ping ok\n[-]tls failed: it is gone\nreadyz check failed\n";
        assert_eq!((status, text.as_str()), (503, expected));
    }
}
