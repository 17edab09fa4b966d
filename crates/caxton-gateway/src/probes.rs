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

/// A component and how it is found out; `Err` says why it is not well, in words anybody may read.
struct Check<'a> {
    name: &'static str,
    look: Answer<'a, Result<(), &'static str>>,
}

/// A component and how it is.
type Found = (&'static str, Result<(), &'static str>);

/// What a component's look becomes that did not end in time.
const LATE: &str = "does not answer in time";

fn check<'a>(
    name: &'static str,
    look: impl Future<Output = Result<(), &'static str>> + Send + 'a,
) -> Check<'a> {
    Check {
        name,
        look: Box::pin(look),
    }
}

/// Whoever answers is alive.
fn ping() -> Check<'static> {
    check("ping", std::future::ready(Ok(())))
}

/// What must be well for the server to do its work.
fn readiness(api: &Api) -> Vec<Check<'_>> {
    vec![
        ping(),
        check("store", store(api)),
        // A gateway is made of an engine that has started, and that has its agents: until then
        // `starting` answers in its place.
        check("agents", std::future::ready(Ok(()))),
        check("accepting", async {
            match api.unready() {
                true => Err("the server is shutting down"),
                false => Ok(()),
            }
        }),
    ]
}

async fn store(api: &Api) -> Result<(), &'static str> {
    match api.app().store_status().await {
        Err(_) => Err("cannot be read; see the server's log"),
        Ok(status) if status.failing.is_some() => Err("refuses writes; see `caxton server status`"),
        Ok(_) => Ok(()),
    }
}

/// Looks at all at once, so that those that hang cost one time together.
async fn look(checks: Vec<Check<'_>>, limit: Duration) -> Vec<Found> {
    let looks = checks.into_iter().map(async |check| {
        let found = timeout(limit, check.look).await;
        (check.name, found.unwrap_or(Err(LATE)))
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
    let checks = ["ping", "engine", "agents"].map(|name| (name, Ok(())));
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
    found.iter().all(|(_, state)| state.is_ok())
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
    let good = found.iter().all(|(_, state)| state.is_ok());
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
            Ok(()) => format!("[+]{component} ok\n"),
            Err(why) => format!("[-]{component} failed: {why}\n"),
        };
        text.push_str(&line);
    }
    text.push_str(&format!(
        "{probe} check {}\n",
        if good { "passed" } else { "failed" }
    ));
    text
}
