//! `/metrics`: the registry that engine and adapters count into, the doors' own counters, the
//! agents' own metrics and the process's, in Prometheus' text format or, by `Accept`, OpenMetrics.

mod door;
mod guest;
mod process;
mod text;

pub(crate) use door::DoorMetrics;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use http::{HeaderMap, header};
use prometheus::IntGauge;

use crate::api::Api;
use crate::door::{auth, refuse};
use crate::keys::Keys;
use crate::probes;
use text::Format;

#[derive(Debug)]
struct Shown {
    api: Api,
    keys: Keys,
    ready: IntGauge,
}

/// The route of the metrics.
pub(crate) fn router(api: Api, keys: Keys, ready: IntGauge) -> Router {
    Router::new()
        .route("/metrics", get(show))
        .with_state(Arc::new(Shown { api, keys, ready }))
}

async fn show(State(shown): State<Arc<Shown>>, request: Request) -> Response {
    // On loopback whoever asks is on this machine. Anywhere else the numbers tell strangers how
    // busy which agent is, so a key is needed there.
    let address = shown.api.listen();
    let near = address.is_none_or(|address| address.ip().is_loopback());
    if !near && let Err(error) = auth::caller(&shown.keys, request.headers()) {
        return refuse(&request, error);
    }
    shown.ready.set(probes::is_ready(&shown.api).await.into());
    let app = shown.api.app();
    let mut families = app.metrics().registry.gather();
    families.extend(guest::families(app.guest_metrics()));
    families.extend(process::families());
    let format = format(request.headers());
    let body = text::write(&families, format);
    ([(header::CONTENT_TYPE, format.media_type())], body).into_response()
}

/// OpenMetrics where the client names it; what both weigh the same is Prometheus' own business.
fn format(headers: &HeaderMap) -> Format {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let named = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| range.trim().starts_with("application/openmetrics-text"));
    match named {
        true => Format::OpenMetrics,
        false => Format::Prometheus,
    }
}
