//! The messages of `caxton.v1`, generated: protobuf by prost, JSON by proto3's mapping.
//!
//! Reading JSON refuses an unknown field and names it. Writing JSON writes every field, defaults
//! too; only `optional` ones, messages and oneofs may be absent. 64-bit numbers are strings in
//! JSON, as proto3 has it, because JavaScript cannot hold them.

// Generated code answers to its generators, not to our lints.
#![allow(clippy::all, clippy::panic, clippy::unwrap_used, clippy::expect_used)]
#![allow(
    clippy::indexing_slicing,
    clippy::large_futures,
    missing_debug_implementations
)]

include!(concat!(env!("OUT_DIR"), "/caxton.v1.rs"));
include!(concat!(env!("OUT_DIR"), "/caxton.v1.serde.rs"));
