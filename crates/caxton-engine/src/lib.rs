//! The living system: router, mailboxes, lifecycle, supervision, [`host::Host`], the [`app::App`]
//! use cases, and the [`port`]s they need.
//!
//! Imports run one way: `port <- host <- mailbox <- router, lifecycle, supervise <- app`. The engine
//! knows no web framework, no SQL and no WebAssembly: those are adapters behind its ports.

pub mod host;
pub mod opctx;
pub mod port;
