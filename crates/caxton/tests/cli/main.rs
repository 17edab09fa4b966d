//! The real binary, as its users meet it: processes, exit codes, files, signals.
//!
//! Nothing here sleeps. A server is waited for by its ready line, a message by `--wait`, a process by
//! its end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc
)]

mod agents;
mod approvals;
mod audit;
mod backups;
mod chat;
mod configuration;
mod contexts;
mod documents;
mod exits;
mod formats;
mod fuzzed;
mod guidance;
mod help;
mod interactive;
mod jobs;
mod limits;
mod mcp;
mod operations;
mod secrets;
mod support;
mod survival;
mod tenants;
mod terminal;
mod tls;
mod tools;
mod tour;
