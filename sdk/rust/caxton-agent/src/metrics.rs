//! Metrics of the agent's own, at `/metrics` as `caxton_guest_*`.
//!
//! Names are `[a-z][a-z0-9_]{0,62}` and an agent has 64 at most; the server drops and counts the rest.

use crate::bindings::caxton::agent::metrics;

/// Adds to a counter.
pub fn count(name: &str, by: u64) {
    metrics::count(name, by);
}

/// Sets a gauge.
pub fn gauge(name: &str, value: f64) {
    metrics::gauge(name, value);
}
