//! Randomness from the server's generator.

use crate::bindings::caxton::agent::random;

/// Random bytes; 65,536 at most, fewer come back beyond it.
#[must_use]
pub fn bytes(length: u32) -> Vec<u8> {
    random::bytes(length)
}
