//! The doors in-process on port 0, over a real `App` with a memory store and agents written in Rust.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::large_futures
)]

mod access;
mod agents;
mod alerts;
mod approvals;
mod assistant;
mod audit;
mod chat;
mod clients;
mod compat;
mod cors;
mod envelope;
mod executor;
mod failures;
mod frames;
mod grpc;
mod hanging;
mod jobs;
mod keys;
mod limits;
mod logs;
mod mcp;
mod mcp_conformance;
mod messages;
mod metrics;
mod pages;
mod probes;
mod records;
mod requests;
mod server;
mod shutdown;
mod smuggling;
mod streams;
mod support;
mod swagger;
mod tenancy;
mod tls;
mod tokens;
mod tools;
mod uploads;
mod wall;
mod websocket;
mod workspace;
