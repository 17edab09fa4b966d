//! Test server, store conformance suite, seeded simulator; the integration tests live here.

pub mod server;
pub mod sim;
pub mod store_suite;
