//! What the doors count.
//!
//! Labels are bounded: methods and routes are those of the contract, whatever strangers ask for.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::MatchedPath;
use axum::response::Response;
use caxton_api::context::GRPC_STATUS;
use caxton_api::{FILE_DESCRIPTOR_SET, OPENAPI};
use caxton_core::error::{Code, Error};
use http::{Method, Uri};
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    core::Collector,
};
use prost::Message;

/// The route of a path that is none of the contract's.
const UNKNOWN: &str = "unknown";
/// Upper bounds of the latency histogram's buckets, in seconds.
const SECONDS: [f64; 12] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// The doors' counters. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct DoorMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    in_flight: IntGauge,
    pub(crate) streams: IntGauge,
    pub(crate) connections: IntGauge,
    pub(crate) handshakes_failed: IntCounter,
    pub(crate) certificate_expires: IntGauge,
    pub(crate) authentications_failed: IntCounter,
    pub(crate) ready: IntGauge,
    rpcs: Arc<HashSet<String>>,
}

impl DoorMetrics {
    /// Registers the counters, every series of the contract at zero.
    ///
    /// # Errors
    /// `CX-6001` where they are registered already.
    pub(crate) fn new(registry: &Registry) -> Result<Self, Error> {
        Self::build(registry).map_err(|error| Error::new(Code::Internal, error.to_string()))
    }

    fn build(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "caxton_http_requests_total",
                "Requests answered, by method, route and HTTP status; gRPC's own status is in grpc_status",
            ),
            &["method", "route", "status", "grpc_status"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "caxton_http_request_seconds",
                "From a request's head to the head of its answer",
            )
            .buckets(SECONDS.to_vec()),
            &["method", "route"],
        )?;
        let gauge = |name: &str, help: &str| IntGauge::new(name, help);
        let metrics = Self {
            requests,
            seconds,
            in_flight: gauge("caxton_http_requests_in_flight", "Requests being answered")?,
            streams: gauge("caxton_streams", "Open streams to clients, SSE and gRPC")?,
            connections: gauge("caxton_connections", "Open connections")?,
            handshakes_failed: IntCounter::new(
                "caxton_tls_handshakes_failed_total",
                "Connections that ended before TLS stood",
            )?,
            certificate_expires: gauge(
                "caxton_tls_certificate_expire_time_seconds",
                "When the server's certificate expires, in seconds since 1970; 0 without TLS",
            )?,
            authentications_failed: IntCounter::new(
                "caxton_auth_failures_total",
                "Requests without a valid key, token or certificate",
            )?,
            ready: gauge("caxton_ready", "1 where /readyz passes, else 0")?,
            rpcs: Arc::new(rpcs()),
        };
        let all: [Box<dyn Collector>; 9] = [
            Box::new(metrics.ready.clone()),
            Box::new(metrics.authentications_failed.clone()),
            Box::new(metrics.handshakes_failed.clone()),
            Box::new(metrics.certificate_expires.clone()),
            Box::new(metrics.requests.clone()),
            Box::new(metrics.seconds.clone()),
            Box::new(metrics.in_flight.clone()),
            Box::new(metrics.streams.clone()),
            Box::new(metrics.connections.clone()),
        ];
        for collector in all {
            registry.register(collector)?;
        }
        for (method, route, status) in operations() {
            metrics
                .requests
                .with_label_values(&[method.as_str(), &route, &status, ""]);
            metrics
                .seconds
                .with_label_values(&[method.as_str(), &route]);
        }
        for rpc in metrics.rpcs.iter() {
            metrics
                .requests
                .with_label_values(&["POST", rpc, "200", "0"]);
            metrics.seconds.with_label_values(&["POST", rpc]);
        }
        Ok(metrics)
    }

    /// Begins to count a request; `route` is the template that matched it.
    pub(crate) fn begin(
        self: &Arc<Self>,
        method: &Method,
        route: Option<MatchedPath>,
        uri: &Uri,
    ) -> Counting {
        self.in_flight.inc();
        // gRPC's templates are one for each service: the method is in the path.
        let by_path = |it: &MatchedPath| it.as_str().ends_with("/{*rpc}");
        let is_rpc = route.as_ref().is_some_and(by_path) && self.rpcs.contains(uri.path());
        Counting {
            of: Arc::clone(self),
            method: known(method),
            rpc: is_rpc.then(|| uri.clone()),
            route,
            begun: Instant::now(),
        }
    }
}

/// A request being counted. Dropped without an answer (the client has gone) it is no answered one.
#[derive(Debug)]
pub(crate) struct Counting {
    of: Arc<DoorMetrics>,
    method: &'static str,
    /// The path of a gRPC method.
    rpc: Option<Uri>,
    route: Option<MatchedPath>,
    begun: Instant,
}

impl Counting {
    /// Ends with the head of the answer. A stream's later end is not counted here.
    pub(crate) fn end(self, response: &Response) {
        let status = response.status();
        // Where gRPC refuses at once its status is a header; else it comes with the trailers.
        let grpc = response.headers().get(&GRPC_STATUS);
        let grpc = grpc
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let grpc = if self.rpc.is_some() && grpc.is_empty() {
            "0"
        } else {
            grpc
        };
        let route = self.rpc.as_ref().map(Uri::path);
        let route = route.or_else(|| self.route.as_ref().map(MatchedPath::as_str));
        let route = route.unwrap_or(UNKNOWN);
        self.of
            .requests
            .with_label_values(&[self.method, route, status.as_str(), grpc])
            .inc();
        self.of
            .seconds
            .with_label_values(&[self.method, route])
            .observe(self.begun.elapsed().as_secs_f64());
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.of.in_flight.dec();
    }
}

fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Method, route and status of success of every REST operation.
fn operations() -> Vec<(String, String, String)> {
    let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap_or_default();
    let paths = document.get("paths").and_then(|it| it.as_object());
    let mut operations = Vec::new();
    for (path, item) in paths.into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let answers = operation.get("responses").and_then(|it| it.as_object());
            let Some(answers) = answers else {
                continue;
            };
            let good = answers.keys().filter(|status| status.starts_with('2'));
            for status in good {
                let method = method.to_uppercase();
                operations.push((method, template(path), status.clone()));
            }
        }
    }
    operations
}

/// OpenAPI's names of path variables are those of JSON, the router's those of the proto file.
fn template(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 4);
    let mut inside = false;
    for c in path.chars() {
        inside = (inside || c == '{') && c != '}';
        if inside && c.is_ascii_uppercase() {
            out.push('_');
            out.push(c.to_ascii_lowercase());
        } else {
            out.push(c);
        }
    }
    out
}

/// The path of every gRPC method.
fn rpcs() -> HashSet<String> {
    let files = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default();
    let mut rpcs = HashSet::new();
    for file in &files.file {
        for service in &file.service {
            for method in &service.method {
                let (package, service, name) = (file.package(), service.name(), method.name());
                rpcs.insert(format!("/{package}.{service}/{name}"));
            }
        }
    }
    rpcs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_gives_the_series() {
        let operations = operations();
        let has = |method: &str, route: &str, status: &str| {
            operations
                .iter()
                .any(|it| (&*it.0, &*it.1, &*it.2) == (method, route, status))
        };
        assert!(has("POST", "/v1/messages", "202"));
        assert!(has("GET", "/v1/deadLetters/{dead_letter}", "200"));
        assert!(rpcs().contains("/caxton.v1.CaxtonManagement/SendMessage"));
    }
}
