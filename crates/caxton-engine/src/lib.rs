//! The living system: router, mailboxes, lifecycle, supervision, [`host::Host`], the [`app::App`]
//! use cases, and the [`port`]s they need.
//!
//! Imports run one way: `port <- host <- mailbox <- router, supervise <- lifecycle <- app`. The
//! engine knows no web framework, no SQL and no WebAssembly: those are adapters behind its ports.

pub mod app;
mod approvals;
pub mod audit;
pub mod breakers;
pub mod directory;
mod documents;
pub mod host;
pub mod idempotency;
pub mod jobs;
mod lifecycle;
pub mod limits;
pub mod mailbox;
pub mod metrics;
pub mod models;
pub mod opctx;
pub mod options;
pub mod port;
pub mod requests;
pub mod rewrap;
pub mod router;
mod supervise;
mod sync;
pub mod task;
pub mod tools;
pub mod turn;
pub mod workspace;

pub use app::App;
pub use opctx::{OpCtx, TenantScope};
pub use options::Options;
pub use router::Ports;
