//! Probes, in the words of Kubernetes: `/livez`, `/readyz`, `/startupz`, and `/health` and `/ready`
//! for who asks by those names. `?verbose` tells of each component.
//!
//! A probe answers within its time whatever the store does, needs no key, and tells nothing of any
//! tenant. Live is whoever answers at all: a store that fails is no reason to be killed, since
//! reads go on and writes come back by themselves.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use tokio::time::timeout;

use crate::api::Api;

/// The probes' routes.
pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/health", get(live))
        .route("/readyz", get(ready))
        .route("/ready", get(ready))
        .route("/startupz", get(startup))
        .with_state(api)
}

/// One component and how it is; `Err` says why it is not ready, in words anybody may read.
type Check = (&'static str, Result<(), &'static str>);

async fn live(RawQuery(query): RawQuery) -> Response {
    answer("livez", &[("ping", Ok(()))], query.as_deref())
}

async fn ready(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    answer("readyz", &checks(&api).await, query.as_deref())
}

/// A gateway is made of an engine that has started, so whoever reaches it finds that done.
async fn startup(RawQuery(query): RawQuery) -> Response {
    answer("startupz", &[("engine", Ok(()))], query.as_deref())
}

/// Whether the server can do its work now.
pub(crate) async fn is_ready(api: &Api) -> bool {
    checks(api).await.iter().all(|(_, state)| state.is_ok())
}

async fn checks(api: &Api) -> [Check; 3] {
    let accepting = match api.draining() {
        true => Err("the server is shutting down"),
        false => Ok(()),
    };
    let status = timeout(api.options().probe_timeout, api.app().store_status()).await;
    let store = match status {
        Err(_) => Err("does not answer in time"),
        Ok(Err(_)) => Err("cannot be read; see the server's log"),
        Ok(Ok(status)) if status.failing.is_some() => {
            Err("refuses writes; see `caxton server status`")
        }
        Ok(Ok(_)) => Ok(()),
    };
    [("ping", Ok(())), ("store", store), ("accepting", accepting)]
}

fn answer(probe: &str, checks: &[Check], query: Option<&str>) -> Response {
    let good = checks.iter().all(|(_, state)| state.is_ok());
    let asked = query.unwrap_or_default().split('&');
    let verbose = asked
        .map(|pair| pair.split('=').next())
        .any(|it| it == Some("verbose"));
    let text = match good && !verbose {
        true => "ok\n".to_owned(),
        false => told(probe, checks, good),
    };
    let status = match good {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, text).into_response()
}

fn told(probe: &str, checks: &[Check], good: bool) -> String {
    let mut text = String::new();
    for (component, state) in checks {
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
