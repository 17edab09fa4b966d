//! The Model Context Protocol at `/mcp`: what a tenant's tools offer and its agents answer, as tools of
//! any client that speaks the protocol, over streamable HTTP.
//!
//! Nothing is kept between two requests, in any revision of the protocol: each stands on its own
//! credential, so that there is no session that could leak from one key to another. What is done, is done
//! by the same operations as at the other doors, and is permitted, limited, audited and logged there.

mod list;
mod names;
mod origin;
mod speak;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::post_service;
use caxton_api::Operation;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use crate::api::Api;
use origin::Origins;
use speak::Speaker;

/// Where it is.
const PATH: &str = "/mcp";

/// The requests of this door, for limits and the log; what each of them does is an operation of the
/// contract, which decides who may.
pub(crate) const OPERATION: Operation = Operation {
    method: "caxton.mcp/Speak",
    permission: "tools:call",
    verb: "post",
    path: PATH,
    streams: false,
};

/// A stream that says nothing is kept open with a comment this often.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The route.
pub(crate) fn router(api: Api) -> Router {
    let options = api.options();
    let config = StreamableHttpServerConfig::default()
        // No sessions for older revisions either.
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(Some(HEARTBEAT))
        .with_max_request_body_bytes(options.rest.body_bytes_max)
        // `Host` and `Origin` are looked at below, by this server's own configuration.
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let origins = Origins::new(&options.cors_origins);
    let speaker = Speaker::new(api);
    let sessions = Arc::new(NeverSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(speaker.clone()), sessions, config);
    Router::new()
        .route(PATH, post_service(service))
        .layer(from_fn_with_state(origins, origin::guard))
}
