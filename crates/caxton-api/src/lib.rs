//! The wire contract: what is said between Caxton and its users, and nothing of what it means.
//!
//! `proto/caxton/v1/` is the one source. From it the build script writes the message types
//! ([`v1`]), their JSON, a trait for each service ([`management::ManagementApi`],
//! [`server::ServerApi`]) with a REST and a gRPC door over it, the client ([`client`]) and the
//! OpenAPI document ([`OPENAPI`]). A server implements the traits and mounts the doors; this crate
//! knows no engine, no authentication and no storage, so that both ends of the wire can use it.

pub mod approvals;
pub mod audit;
pub mod client;
pub mod context;
pub mod duration;
pub mod error;
pub mod external_agent_router;
pub mod grpc;
pub mod json;
pub mod keys;
pub mod limits;
pub mod management;
pub mod providers;
pub mod requests;
mod required;
pub mod rest;
pub mod roles;
pub mod server;
pub mod sessions;
pub mod tenants;
pub mod tools;
pub mod v1;
pub mod wkt;

pub use context::{CallContext, Credential};
pub use error::ApiError;

/// What a server stream answers: items, until an error or the end.
pub type ApiStream<T> = futures::stream::BoxStream<'static, Result<T, ApiError>>;

/// The encoded `google.protobuf.FileDescriptorSet` of the whole contract, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The OpenAPI 3.1 document of the REST door, as JSON.
pub const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// One operation of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// `caxton.v1.CaxtonManagement/SendMessage`.
    pub method: &'static str,
    /// What it needs, `noun:verb`.
    pub permission: &'static str,
    /// The HTTP method on REST, in lower case.
    pub verb: &'static str,
    /// The path on REST, with `{names}` for its variables.
    pub path: &'static str,
    /// Whether it answers with a stream.
    pub streams: bool,
}

include!(concat!(env!("OUT_DIR"), "/operations.rs"));

/// The full names of the gRPC services, for health and reflection.
pub const SERVICES: &[&str] = &[
    "caxton.v1.Approvals",
    "caxton.v1.Audit",
    "caxton.v1.CaxtonManagement",
    "caxton.v1.ExternalAgentRouter",
    "caxton.v1.Keys",
    "caxton.v1.Limits",
    "caxton.v1.Requests",
    "caxton.v1.Providers",
    "caxton.v1.Roles",
    "caxton.v1.Server",
    "caxton.v1.Sessions",
    "caxton.v1.Tenants",
    "caxton.v1.Tools",
];
