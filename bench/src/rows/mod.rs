//! The rows of the table, by the name one asks for them with.

mod native;
mod wasm;

use crate::Run;
use crate::report::Report;
use futures::future::BoxFuture;

type Runner = for<'a> fn(&'a Run, &'a mut Report) -> BoxFuture<'a, anyhow::Result<()>>;

/// Every group of rows: name, what it is about, and what runs it.
pub const GROUPS: &[(&str, &str, Runner)] = &[
    (
        "native",
        "native agents against ractor and bare channels",
        |run, report| Box::pin(native::run(run, report)),
    ),
    (
        "wasm",
        "sandboxed agents at both ends against Erlang",
        |run, report| Box::pin(wasm::run(run, report)),
    ),
];
