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

use caxton_api::ApiError;
use caxton_core::grant::Permission;
use caxton_core::{Code, TenantId};
use http::{Extensions, HeaderMap, header};

use crate::api::Api;
use crate::door::auth::Authenticator;
use crate::door::refuse;
use crate::probes;
use prometheus::IntGauge;
use text::Format;

#[derive(Debug)]
struct Shown {
    api: Api,
    authenticator: Authenticator,
    ready: IntGauge,
}

impl Shown {
    async fn admit(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<(), ApiError> {
        let caller = self.authenticator.caller(headers, extensions).await?;
        let may = caller
            .principal()
            .may(Permission::ServerRead, &TenantId::platform());
        if may {
            return Ok(());
        }
        let detail = format!(
            "metrics need the permission {}",
            Permission::ServerRead.as_str()
        );
        Err(ApiError::new(Code::PermissionDenied, detail))
    }
}

/// The route of the metrics.
pub(crate) fn router(api: Api, authenticator: Authenticator, ready: IntGauge) -> Router {
    Router::new()
        .route("/metrics", get(show))
        .with_state(Arc::new(Shown {
            api,
            authenticator,
            ready,
        }))
}

async fn show(State(shown): State<Arc<Shown>>, request: Request) -> Response {
    // On loopback whoever asks is on this machine. Anywhere else the numbers tell strangers how
    // busy which agent is, so one of the platform's keys is needed there.
    let address = shown.api.listen();
    let near = address.is_none_or(|address| address.ip().is_loopback());
    if !near && let Err(error) = shown.admit(request.headers(), request.extensions()).await {
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
