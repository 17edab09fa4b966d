//! The host's interfaces for guests, one file each: thin over [`caxton_engine::host::Host`], which
//! decides everything. Refusals are values for the guest. A call traps only when its fuel is used
//! up, or when it comes from the start function.
//!
//! Functions that do something are async, so that they can yield (see [`crate::meter`]).

mod clock;
mod identity;
mod logging;
mod messaging;
mod metrics;
mod packed;
mod random;
mod state;
mod timers;
mod tools;

use crate::bindings::types;
use crate::guest::Guest;
use caxton_core::error::{Code, Error};
use wasmtime::component::Linker;

/// The package and version all interfaces are of.
macro_rules! interface {
    ($name:literal) => {
        concat!("caxton:agent/", $name, "@1.0.0")
    };
}
pub(crate) use interface;
pub(crate) use logging::log_level;

/// The interface an agent exports.
pub(crate) const BEHAVIOR: &str = interface!("behavior");
/// The one it may export instead.
pub(crate) const PACKED_BEHAVIOR: &str = interface!("packed-behavior");

/// The interfaces of `caxton:agent` a guest may import.
pub(crate) const INTERFACES: [&str; 12] = [
    interface!("types"),
    interface!("messaging"),
    interface!("packed"),
    interface!("logging"),
    interface!("clock"),
    interface!("random"),
    interface!("state"),
    interface!("timers"),
    interface!("identity"),
    interface!("metrics"),
    interface!("tool-types"),
    interface!("tools"),
];

pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.instance(interface!("types"))?;
    messaging::add(linker)?;
    packed::add(linker)?;
    logging::add(linker)?;
    clock::add(linker)?;
    random::add(linker)?;
    state::add(linker)?;
    timers::add(linker)?;
    identity::add(linker)?;
    metrics::add(linker)?;
    tools::add(linker)
}

/// A server that stops is no answer: the handler ends here, and whoever starts the server next has the
/// message handled again, from what is recorded of it.
fn unless_stopping<T>(answer: Result<T, Error>) -> wasmtime::Result<Result<T, Error>> {
    match answer {
        Err(error) if error.code == Code::Draining => Err(error.into()),
        answer => Ok(answer),
    }
}

/// A refusal, as the guest sees it.
fn refusal(error: Error) -> types::Error {
    types::Error {
        code: error.code.as_str().to_owned(),
        message: error.detail,
    }
}
