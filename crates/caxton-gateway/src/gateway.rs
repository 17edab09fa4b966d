//! [`Gateway`]: one axum router for every door, put together in one place.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use caxton_api::{
    OPENAPI, approvals, audit, external_agent_router as external, keys, limits as limits_api,
    management, providers, requests, roles, server, sessions, tenants, tools,
};
use caxton_core::error::Error;
use caxton_engine::App;
use caxton_engine::port::{Clock, Entropy};
use http::header;

use crate::api::Api;
use crate::backups::Backups;
use crate::door::auth::Authenticator;
use crate::door::cors::{self, Cors};
use crate::door::envelope::Envelope;
use crate::door::guard::{self, Guard};
use crate::door::layer::Around;
use crate::door::{failures, fallback};
use crate::health::Health;
use crate::jwt::JwtAuthenticator;
use crate::keys::Keys;
use crate::metrics::DoorMetrics;
use crate::options::Options;
use crate::tls::Tls;
use crate::{chat, compat, error_page, mcp, metrics, multipart, probes, swagger, ws};

/// What the gateway stands on.
pub struct Ports {
    /// The engine, started.
    pub app: App,
    /// The keys the doors accept.
    pub keys: Keys,
    /// The backups on disk.
    pub backups: Arc<dyn Backups>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ports")
    }
}

/// All doors over one `App`. Make one, then [`Gateway::serve`] it.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) api: Api,
    pub(crate) metrics: DoorMetrics,
    pub(crate) tls: Option<Tls>,
    pub(crate) jwt: Option<JwtAuthenticator>,
    authenticator: Authenticator,
}

impl Gateway {
    /// Puts the doors together; nothing listens yet.
    ///
    /// # Errors
    /// `CX-6001` where the registry of `app` has a gateway's metrics already: one gateway an `App`.
    pub fn new(options: Options, ports: Ports) -> Result<Self, Error> {
        let metrics = DoorMetrics::new(&ports.app.metrics().registry)?;
        let authenticator = Authenticator::new(ports.keys.clone(), ports.app.clone());
        let api = Api::new(options, ports, metrics.clone());
        Ok(Self {
            api,
            metrics,
            tls: None,
            jwt: None,
            authenticator,
        })
    }

    /// The same, which speaks TLS and nothing else.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        tls.count_into(self.metrics.certificate_expires.clone());
        self.tls = Some(tls);
        self
    }

    /// The same, which believes tokens of these issuers.
    #[must_use]
    pub fn with_jwt(mut self, jwt: JwtAuthenticator) -> Self {
        self.jwt = Some(jwt);
        self
    }

    /// The router of all doors. [`Gateway::serve`] serves it; alone it is of use in tests.
    pub fn router(&self) -> Router {
        let options = self.api.options().clone();
        let management: Arc<dyn management::ManagementApi> = Arc::new(self.api.clone());
        let server: Arc<dyn server::ServerApi> = Arc::new(self.api.clone());
        let tenants: Arc<dyn tenants::TenantsApi> = Arc::new(self.api.clone());
        let keys: Arc<dyn keys::KeysApi> = Arc::new(self.api.clone());
        let providers: Arc<dyn providers::ProvidersApi> = Arc::new(self.api.clone());
        let roles: Arc<dyn roles::RolesApi> = Arc::new(self.api.clone());
        let audit: Arc<dyn audit::AuditApi> = Arc::new(self.api.clone());
        let rates: Arc<dyn limits_api::LimitsApi> = Arc::new(self.api.clone());
        let requests: Arc<dyn requests::RequestsApi> = Arc::new(self.api.clone());
        let calls: Arc<dyn external::ExternalAgentRouterApi> = Arc::new(self.api.clone());
        let sessions: Arc<dyn sessions::SessionsApi> = Arc::new(self.api.clone());
        let tools: Arc<dyn tools::ToolsApi> = Arc::new(self.api.clone());
        let approvals: Arc<dyn approvals::ApprovalsApi> = Arc::new(self.api.clone());
        let limits = options.rest;
        let failed = self.metrics.authentications_failed.clone();
        let failures = failures::Failures::new(
            Arc::clone(self.api.clock()),
            failed,
            options.auth_failures_max,
        );
        let guard = Guard::new(guard::Parts {
            api: self.api.clone(),
            authenticator: self.authenticator.clone(),
            jwt: self.jwt.clone(),
            failures,
        });
        let guarded = management::router(Arc::clone(&management), limits)
            .layer(from_fn_with_state(self.api.clone(), multipart::take_upload))
            .layer(DefaultBodyLimit::max(limits.upload_bytes_max))
            .merge(server::router(Arc::clone(&server), limits))
            .merge(management::grpc_router(management, limits))
            .merge(server::grpc_router(server, limits))
            .merge(
                sessions::router(Arc::clone(&sessions), limits)
                    .layer(from_fn_with_state(self.api.clone(), chat::take_chat)),
            )
            .merge(sessions::grpc_router(sessions, limits))
            .merge(compat::router(self.api.clone()))
            .merge(mcp::router(self.api.clone()))
            .merge(self.sockets())
            .merge(tenants::router(Arc::clone(&tenants), limits))
            .merge(tenants::grpc_router(tenants, limits))
            .merge(keys::router(Arc::clone(&keys), limits))
            .merge(keys::grpc_router(keys, limits))
            .merge(providers::router(Arc::clone(&providers), limits))
            .merge(providers::grpc_router(providers, limits))
            .merge(roles::router(Arc::clone(&roles), limits))
            .merge(roles::grpc_router(roles, limits))
            .merge(audit::router(Arc::clone(&audit), limits))
            .merge(audit::grpc_router(audit, limits))
            .merge(limits_api::router(Arc::clone(&rates), limits))
            .merge(limits_api::grpc_router(rates, limits))
            .merge(requests::router(Arc::clone(&requests), limits))
            .merge(requests::grpc_router(requests, limits))
            .merge(external::router(Arc::clone(&calls), limits))
            .merge(external::grpc_router(calls, limits))
            .merge(tools::router(Arc::clone(&tools), limits))
            .merge(tools::grpc_router(tools, limits))
            .merge(approvals::router(Arc::clone(&approvals), limits))
            .merge(approvals::grpc_router(approvals, limits))
            .layer(Around(guard));
        let health = Health::new(self.api.clone());
        let metrics = metrics::router(
            self.api.clone(),
            self.authenticator.clone(),
            self.metrics.ready.clone(),
        );
        let router = Router::new()
            .merge(guarded)
            .merge(probes::router(self.api.clone()))
            .merge(metrics)
            .merge(error_page::router())
            .merge(swagger::router())
            .route("/openapi.json", get(document))
            .merge(health.routes())
            .fallback(fallback::route_unknown)
            .method_not_allowed_fallback(fallback::method_unknown);
        let router = match Cors::new(&options.cors_origins).layer() {
            Some(cors) => router.layer(cors),
            None => router,
        };
        router.layer(Around(Envelope::new(&self.api, &self.metrics)))
    }

    fn sockets(&self) -> Router {
        let cors = Cors::new(&self.api.options().cors_origins);
        Router::new()
            .route("/v1/ws", get(ws::upgrade))
            .layer(from_fn_with_state(cors, cors::guard_sockets))
            .with_state(self.api.clone())
    }
}

/// The contract, for whoever wants to know it: no key.
async fn document() -> impl axum::response::IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}
