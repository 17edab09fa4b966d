//! The doors: REST, server-sent events, gRPC, probes and metrics over [`caxton_engine::App`], all on
//! one port.
//!
//! A door translates and nothing else: it authenticates, builds the `OpCtx`, turns wire types into
//! core's and back, and calls `App`. What a request may do and what it does is decided behind it.
//! [`Gateway::serve`] is the one way in for the composition root.

mod api;
mod backups;
mod chat;
mod compat;
mod convert;
mod door;
mod error_page;
mod gateway;
mod health;
pub mod jwt;
mod keys;
mod mcp;
mod metrics;
mod multipart;
mod options;
mod peer;
mod probes;
mod serve;
mod socket;
mod starting;
mod stream;
mod swagger;
pub mod tls;
mod turn;
mod ws;

pub use backups::{Backups, NoBackups, Verified};
pub use door::cors_origin;
pub use door::limits::operations;
pub use error_page::render as error_page;
pub use gateway::{Gateway, Ports};
pub use keys::{KeyEmpty, Keys};
pub use options::Options;
pub use peer::{Peer, PeerIdentity};
pub use starting::starting;
pub use tls::Tls;
pub use ws::STREAMS as WEBSOCKET_STREAMS;
