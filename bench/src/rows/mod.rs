//! The rows of the table, by the name one asks for them with.

mod decisions;
mod deploy;
mod doors;
mod durable;
mod gateway;
pub mod idle;
mod limits;
mod native;
mod neighbours;
mod query;
mod server;
mod start;
mod tokens;
mod tools;
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
    (
        "durable",
        "durable messages against SQLite's inserts and fdatasync",
        |run, report| Box::pin(durable::run(run, report)),
    ),
    (
        "start",
        "an instance from the pool and from disk against bare wasmtime",
        |run, report| Box::pin(start::run(run, report)),
    ),
    (
        "tools",
        "calling a tool in the sandbox against bare wasmtime",
        |run, report| Box::pin(tools::run(run, report)),
    ),
    (
        "deploy",
        "deploying against compiling alone",
        |run, report| Box::pin(deploy::run(run, report)),
    ),
    (
        "query",
        "asking for agents and conversations",
        |run, report| Box::pin(query::run(run, report)),
    ),
    (
        "limits",
        "what the sandbox's limits cost a message",
        |run, report| Box::pin(limits::run(run, report)),
    ),
    (
        "doors",
        "gRPC and REST against bare tonic and bare axum",
        |run, report| Box::pin(doors::run(run, report)),
    ),
    (
        "decisions",
        "permission, rate, key and audit, each alone",
        |run, report| Box::pin(decisions::run(run, report)),
    ),
    (
        "gateway",
        "a model's streamed answer against nginx and the LiteLLM proxy",
        |run, report| Box::pin(gateway::run(run, report)),
    ),
    (
        "server",
        "commands, calls from outside, probes and idle tenants of a running server",
        |run, report| Box::pin(server::run(run, report)),
    ),
    (
        "neighbours",
        "an agent beside ten that loop",
        |run, report| Box::pin(neighbours::run(run, report)),
    ),
    (
        "idle",
        "what ten thousand idle agents keep in memory",
        |run, report| Box::pin(idle::run(run, report)),
    ),
];
