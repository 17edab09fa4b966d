//! gRPC's own doors: `grpc.health.v1.Health`, answered from the same checks as `/readyz` at the
//! moment it is asked, and server reflection.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use caxton_api::{FILE_DESCRIPTOR_SET, SERVICES};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthService, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::api::Api;
use crate::probes;

/// How often a watched health is looked at.
const WATCH_LOOK: Duration = Duration::from_secs(1);

/// Who watches at one time.
const WATCHES_MAX: usize = 64;

/// The health service.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    api: Api,
    watches: Arc<Semaphore>,
}

impl Health {
    pub(crate) fn new(api: Api) -> Self {
        Self {
            api,
            watches: Arc::new(Semaphore::new(WATCHES_MAX)),
        }
    }

    /// Health and both versions of reflection (tools in the field still ask the older).
    pub(crate) fn routes(self) -> Router {
        let router =
            Router::new().route_service("/grpc.health.v1.Health/{*rpc}", HealthServer::new(self));
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // Of what stands in errors: who asks by reflection can read them, too.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        let router = match reflection().build_v1() {
            Ok(service) => {
                router.route_service("/grpc.reflection.v1.ServerReflection/{*rpc}", service)
            }
            Err(_) => router,
        };
        match reflection().build_v1alpha() {
            Ok(service) => {
                router.route_service("/grpc.reflection.v1alpha.ServerReflection/{*rpc}", service)
            }
            Err(_) => router,
        }
    }

    async fn status(&self) -> ServingStatus {
        match probes::is_ready(&self.api).await {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        }
    }
}

/// Whether a health request names the whole server or one of its services.
fn is_known(service: &str) -> bool {
    service.is_empty() || SERVICES.contains(&service)
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

#[tonic::async_trait]
impl HealthService for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !is_known(&request.get_ref().service) {
            return Err(Status::not_found("the server has no such service"));
        }
        Ok(Response::new(answer(self.status().await)))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    /// The status now, and each other one there is. An unknown service is an answer here, as the
    /// protocol has it.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        // Of their own places: whoever watches needs no key, and takes none of those who have one.
        let watch = Arc::clone(&self.watches).try_acquire_owned();
        let watch = watch.map_err(|_| Status::resource_exhausted("too many watch the health"))?;
        let stop = self.api.streams().stopped();
        let known = is_known(&request.get_ref().service);
        let health = self.clone();
        let changes = stream::unfold(None, move |last: Option<ServingStatus>| {
            let health = health.clone();
            async move {
                loop {
                    let now = match known {
                        true => health.status().await,
                        false => ServingStatus::ServiceUnknown,
                    };
                    if last != Some(now) {
                        return Some((Ok::<_, Status>(answer(now)), Some(now)));
                    }
                    let clock = health.api.clock();
                    clock.sleep_until(clock.now().plus(WATCH_LOOK)).await;
                }
            }
            .boxed()
        });
        let held = changes.take_until(stop).map(move |status| {
            let _ = &watch;
            status
        });
        Ok(Response::new(held.boxed()))
    }
}
