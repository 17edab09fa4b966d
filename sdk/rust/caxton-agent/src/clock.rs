//! The time, as the server tells it.

use crate::bindings::caxton::agent::clock;

/// Microseconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn now_us() -> i64 {
    clock::now_us()
}
