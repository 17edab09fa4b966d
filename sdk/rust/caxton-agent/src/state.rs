//! The agent's key-value state. Writes become durable together with the handled message, and are
//! dropped when the handler fails.

use crate::Error;
use crate::bindings::caxton::agent::state;

/// Keys one call of [`keys`] returns at most.
pub const KEYS_MAX: u32 = 1_000;

/// The value of a key.
///
/// # Errors
/// The server refused or could not read.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    state::get(key)
}

/// Writes a value.
///
/// # Errors
/// The key or the value is larger than the server allows, or a quota is used up.
pub fn set(key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
    state::set(key, value.as_ref())
}

/// Removes a key; one that is not there is no error.
///
/// # Errors
/// The server refused or could not write.
pub fn delete(key: &str) -> Result<(), Error> {
    state::delete(key)
}

/// Keys that begin with `prefix`, in byte order, strictly after `after` (empty: from the start),
/// `limit` and [`KEYS_MAX`] at most.
///
/// # Errors
/// The server refused or could not read.
pub fn keys(prefix: &str, after: &str, limit: u32) -> Result<Vec<String>, Error> {
    state::keys(prefix, after, limit)
}
