//! The doors in-process: one fake server behind REST, gRPC and the client, on port 0.
//!
//! What is tested is the contract's machinery and not a server's behaviour: that each operation's
//! fields arrive whole through every door, that errors are told alike, and that what is wrong is
//! named.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod breaking;
mod client;
mod fake;
mod nouns;
mod openapi;
mod parity;
mod rest;
mod streams;

use std::sync::Arc;

use axum::Router;
use caxton_api::{management, rest as door, server};

use crate::fake::Fake;

/// All services at both doors.
fn router(fake: &Arc<Fake>, options: door::Options) -> Router {
    management::router(fake.clone(), options)
        .merge(server::router(fake.clone(), options))
        .merge(management::grpc_router(fake.clone(), options))
        .merge(server::grpc_router(fake.clone(), options))
        .merge(nouns::router(fake, options))
        .method_not_allowed_fallback(door::method_unknown)
        .fallback(door::route_unknown)
}

/// Serves until the test's runtime ends; answers the address.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}
